package message

import (
	"bytes"
	"net/mail"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"uniqverse/services/email/mime"
	"uniqverse/smtpd/header"
)

// Field is a property of the form header:Name:asForm:all.
type Field struct {
	Name string // of the header field, as asked
	Form string // Raw, Text, Addresses, GroupedAddresses, MessageIds, Date, URLs
	All  bool
}

// ParseField reads the name of a header property; ok is false when it is none, or asks for a form that the field does not
// have (RFC 8621 section 4.1.2).
func ParseField(property string) (f Field, ok bool) {
	rest, ok := strings.CutPrefix(property, "header:")
	if !ok {
		return f, false
	}
	parts := strings.Split(rest, ":")
	f.Name, f.Form = parts[0], "Raw"
	parts = parts[1:]
	if len(parts) > 0 && parts[len(parts)-1] == "all" {
		f.All, parts = true, parts[:len(parts)-1]
	}
	if len(parts) > 1 || !validName(f.Name) {
		return f, false
	}
	if len(parts) == 1 {
		form, isForm := strings.CutPrefix(parts[0], "as")
		if !isForm || !slices.Contains([]string{"Raw", "Text", "Addresses", "GroupedAddresses", "MessageIds", "Date", "URLs"}, form) {
			return f, false
		}
		f.Form = form
	}
	return f, allowed(strings.ToLower(f.Name), f.Form)
}

func validName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

// allowed reports whether a field that RFC 5322 or RFC 2369 defines has the form; any other has every form.
func allowed(name, form string) bool {
	if form == "Raw" {
		return true
	}
	switch name {
	case "subject", "comments", "keywords", "list-id":
		return form == "Text"
	case "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc":
		return form == "Addresses" || form == "GroupedAddresses"
	case "message-id", "in-reply-to", "references", "resent-message-id":
		return form == "MessageIds"
	case "date", "resent-date":
		return form == "Date"
	case "list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive":
		return form == "URLs"
	case "return-path", "received":
		return false
	}
	return true
}

// Value returns the property's value in a header: of the last field of the name, or of all in order.
func (f Field) Value(fields []header.Field) any {
	var found []any
	for _, h := range fields {
		if h.Is(f.Name) {
			found = append(found, inForm(h, f.Form))
		}
	}
	switch {
	case f.All && found == nil:
		return []any{}
	case f.All:
		return found
	case found == nil:
		return nil
	}
	return found[len(found)-1]
}

// rawOf is a field's value as it stands, from behind the colon to before the last line end.
func rawOf(h header.Field) string {
	_, v, _ := bytes.Cut(h.Raw, []byte(":"))
	v = bytes.TrimSuffix(bytes.TrimSuffix(v, []byte("\n")), []byte("\r"))
	return strings.ToValidUTF8(strings.ReplaceAll(string(v), "\x00", ""), "\uFFFD")
}

func inForm(h header.Field, form string) any {
	switch form {
	case "Text":
		return textOf(h)
	case "Addresses":
		return Addresses(mime.Value(h))
	case "GroupedAddresses":
		return Groups(mime.Value(h))
	case "MessageIds":
		return idsOf(h)
	case "Date":
		return dateOf(h)
	case "URLs":
		return urlsOf(h)
	}
	return rawOf(h)
}

func textOf(h header.Field) string {
	return norm.NFC.String(strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, mime.Words(mime.Value(h)))))
}

// idsOf is a list of message ids without <>, or nil when there is none that can be read.
func idsOf(h header.Field) any {
	var ids []string
	value := stripComments(mime.Value(h))
	if !strings.Contains(value, "<") { // of old programs: words
		for _, w := range strings.Fields(strings.ToValidUTF8(value, "")) {
			if strings.Contains(w, "@") {
				ids = append(ids, w)
			}
		}
	}
	for {
		_, rest, ok := strings.Cut(value, "<")
		if !ok {
			break
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		value = after
		if id = strings.Join(strings.Fields(strings.ToValidUTF8(id, "")), ""); id != "" {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	return ids
}

func stripComments(s string) string {
	var b strings.Builder
	for _, t := range tokens(s) {
		if t.blank && b.Len() > 0 {
			b.WriteByte(' ')
		}
		if t.kind == tokenQuoted {
			b.WriteString(`"` + t.text + `"`)
		} else if t.kind != tokenComment {
			b.WriteString(t.text)
		}
	}
	return b.String()
}

// dateOf is a date in the zone that it names, or nil.
func dateOf(h header.Field) any {
	text := strings.TrimSpace(mime.Value(h))
	t, err := mail.ParseDate(text)
	if err != nil {
		if t, err = mail.ParseDate(strings.TrimSpace(stripComments(text))); err != nil {
			if t = mime.Date(text); t.IsZero() {
				return nil
			}
		}
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return t.Format("2006-01-02T15:04:05Z07:00")
}

// urlsOf is the addresses between <> of a list field (RFC 2369), or nil.
func urlsOf(h header.Field) any {
	var urls []string
	for rest := mime.Value(h); ; {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		url, tail, ok := strings.Cut(after, ">")
		if !ok {
			break
		}
		rest = tail
		if url = strings.Join(strings.Fields(strings.ToValidUTF8(url, "")), ""); url != "" {
			urls = append(urls, url)
		}
	}
	if urls == nil {
		return nil
	}
	return urls
}

// convenience are the properties that stand for a header property.
func convenience(property string) (Field, bool) {
	switch property {
	case "messageId":
		return Field{Name: "Message-ID", Form: "MessageIds"}, true
	case "inReplyTo":
		return Field{Name: "In-Reply-To", Form: "MessageIds"}, true
	case "references":
		return Field{Name: "References", Form: "MessageIds"}, true
	case "sender", "from", "to", "cc", "bcc":
		return Field{Name: strings.ToUpper(property[:1]) + property[1:], Form: "Addresses"}, true
	case "replyTo":
		return Field{Name: "Reply-To", Form: "Addresses"}, true
	case "subject":
		return Field{Name: "Subject", Form: "Text"}, true
	case "sentAt":
		return Field{Name: "Date", Form: "Date"}, true
	}
	return Field{}, false
}

// ListProperties are those that Head.Shown has.
func ListProperties() []string {
	return []string{"messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt"}
}

// UTCDate writes a time as JMAP does, to the second.
func UTCDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
