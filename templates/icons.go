package templates

import "html/template"

// icon returns a drawing of 24 by 24 in the colour of the text around it. It is decoration: the words stand beside it.
// An unknown name draws a small circle, so that a typing error is seen and breaks nothing.
func icon(name string) template.HTML {
	var d string
	switch name {
	case "helm":
		d = `<circle cx="12" cy="12" r="3"/><ellipse cx="12" cy="12" rx="10" ry="4.2" transform="rotate(-28 12 12)"/>`
	case "game":
		d = `<path d="M7 8h10a5 5 0 0 1 4.9 6l-.5 2.4a2.6 2.6 0 0 1-4.5 1.1L15 15.5H9l-1.9 2a2.6 2.6 0 0 1-4.5-1.1L2.1 14A5 5 0 0 1 7 8Z"/><path d="M8 10.5v3M6.5 12h3M15.5 11h.01M17.5 13h.01"/>`
	case "mail", "inbox":
		d = `<rect x="3" y="5" width="18" height="14" rx="2.5"/><path d="m4 7.5 6.6 5a2.3 2.3 0 0 0 2.8 0l6.6-5"/>`
	case "chat":
		d = `<path d="M12 4c5 0 9 3.3 9 7.5S17 19 12 19c-1 0-2-.1-2.9-.4L4.5 20.5l1-3.6C4 15.5 3 13.6 3 11.5 3 7.3 7 4 12 4Z"/><path d="M8.5 11.5h.01M12 11.5h.01M15.5 11.5h.01"/>`
	case "desk":
		d = `<path d="M4 13v-1a8 8 0 0 1 16 0v1"/><rect x="2.5" y="13" width="4.5" height="6" rx="2"/><rect x="17" y="13" width="4.5" height="6" rx="2"/><path d="M19.5 19a4 4 0 0 1-4 2.5H13"/>`
	case "trophy":
		d = `<path d="M7 4h10v5a5 5 0 0 1-10 0V4Z"/><path d="M7 5.5H4V7a3.5 3.5 0 0 0 3.5 3.5M17 5.5h3V7a3.5 3.5 0 0 1-3.5 3.5M12 14v3.5M8.5 20.5a3.5 3 0 0 1 7 0Z"/>`
	case "book":
		d = `<path d="M12 6.5C10 5 7 4.5 3.5 4.5v13c3.5 0 6.5.5 8.5 2 2-1.5 5-2 8.5-2v-13C17 4.5 14 5 12 6.5Zm0 0v13"/>`
	case "users":
		d = `<circle cx="9" cy="8.5" r="3.5"/><path d="M2.5 20a6.5 6.5 0 0 1 13 0M16 5.3a3.5 3.5 0 0 1 0 6.4M18 14.3a6.5 6.5 0 0 1 3.5 5.7"/>`
	case "user":
		d = `<circle cx="12" cy="8" r="4"/><path d="M4.5 20.5a7.5 7.5 0 0 1 15 0"/>`
	case "palette":
		d = `<path d="M12 3a9 9 0 1 0 0 18c1.5 0 2-1 2-2 0-1.5.5-2.5 2-2.5h2c2 0 3-1.5 3-4C21 7 17 3 12 3Z"/><path d="M8 12h.01M9.5 8h.01M14.5 7.5h.01"/>`
	case "star":
		d = `<path d="m12 3.5 2.6 5.5 6 .8-4.4 4.2 1.1 6L12 17l-5.3 3 1.1-6L3.4 9.8l6-.8Z"/>`
	case "search":
		d = `<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>`
	case "sun":
		d = `<circle cx="12" cy="12" r="4"/><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"/>`
	case "plus":
		d = `<path d="M12 5v14M5 12h14"/>`
	case "send":
		d = `<path d="M20.5 3.5 10 14M20.5 3.5 14 20.5 10 14l-6.5-4Z"/>`
	case "check":
		d = `<path d="m5 12.5 4.5 4.5L19 7.5"/>`
	case "close":
		d = `<path d="m6 6 12 12M18 6 6 18"/>`
	case "alert":
		d = `<path d="M12 3.5 22 20.5H2Z"/><path d="M12 10v4.5M12 17.5h.01"/>`
	case "info":
		d = `<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 8h.01"/>`
	case "shield":
		d = `<path d="M12 3 4.5 6v5.5c0 4.5 3 8 7.5 9.5 4.5-1.5 7.5-5 7.5-9.5V6Z"/><path d="m9 12 2.2 2.2L15.5 10"/>`
	case "key":
		d = `<circle cx="8" cy="15.5" r="4.5"/><path d="m11.5 12.5 8-8M16 8l3 3M13.5 10.5 15 12"/>`
	case "clock":
		d = `<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>`
	case "chart":
		d = `<path d="M4 4v16h16M8 16v-4M12 16V8M16 16v-6"/>`
	case "back":
		d = `<path d="M10 6 4 12l6 6M4 12h16"/>`
	case "next":
		d = `<path d="m9 6 6 6-6 6"/>`
	case "prev":
		d = `<path d="m15 6-6 6 6 6"/>`
	case "copy":
		d = `<rect x="8.5" y="8.5" width="12" height="12" rx="2.5"/><path d="M15.5 8.5v-2a2.5 2.5 0 0 0-2.5-2.5H6A2.5 2.5 0 0 0 3.5 6.5v7A2.5 2.5 0 0 0 6 16h2.5"/>`
	case "clip":
		d = `<path d="m20 11.5-8 8a5.3 5.3 0 0 1-7.5-7.5l8.5-8.5a3.5 3.5 0 0 1 5 5l-8.5 8.5a1.8 1.8 0 0 1-2.5-2.5l7.5-7.5"/>`
	case "tag":
		d = `<path d="M12.5 3.5H20a.5.5 0 0 1 .5.5v7.5L12 20a2 2 0 0 1-3 0l-5-5a2 2 0 0 1 0-3Z"/><path d="M16.5 7.5h.01"/>`
	case "logout":
		d = `<path d="M14 4.5H6.5A2.5 2.5 0 0 0 4 7v10a2.5 2.5 0 0 0 2.5 2.5H14M10 12h10.5M17 8l4 4-4 4"/>`
	case "help":
		d = `<circle cx="12" cy="12" r="9"/><path d="M9.5 9.5a2.5 2.5 0 1 1 3.8 2.1c-.9.6-1.3 1-1.3 2.2M12 17h.01"/>`
	case "down":
		d = `<path d="M12 4v16M6 14l6 6 6-6"/>`
	case "lock":
		d = `<rect x="4.5" y="10.5" width="15" height="10" rx="2.5"/><path d="M8 10.5V8a4 4 0 0 1 8 0v2.5"/>`
	case "bolt":
		d = `<path d="M13 2.5 4.5 13.5H11l-1 8 8.5-11H12Z"/>`
	default:
		d = `<circle cx="12" cy="12" r="3"/>`
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + d + `</svg>`)
}

// iconNames returns the names that icon knows, for the page of components and the tests.
func iconNames() []string {
	return []string{
		"helm", "game", "mail", "inbox", "chat", "desk", "trophy", "book",
		"users", "user", "palette", "star", "search", "sun", "plus", "send",
		"check", "close", "alert", "info", "shield", "key", "clock", "chart",
		"back", "next", "prev", "copy", "clip", "tag", "logout", "help",
		"down", "lock", "bolt",
	}
}
