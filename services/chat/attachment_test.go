package chat_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/services/chat"
	"uniqverse/services/chat/attachment"
)

// upload sends a file as the body.
func (w *world) upload(room int64, token, name string, body []byte, headers ...string) answer {
	w.t.Helper()
	headers = append([]string{"Content-Type", "application/octet-stream"}, headers...)
	return w.call("POST", fmt.Sprintf("/rooms/%d/attachments?name=%s", room, name), token, string(body), headers...)
}

// file is upload, and fails the test unless it was taken.
func (w *world) file(room int64, token, name string, body []byte) api.ChatAttachment {
	w.t.Helper()
	var out api.ChatAttachment
	a := w.upload(room, token, name, body)
	if a.status != 200 {
		w.t.Fatalf("upload of %s: %d %s", name, a.status, a.body)
	}
	a.json(w.t, &out)
	return out
}

// say sends a line and returns its id.
func (w *world) say(room int64, token, body string) api.ChatSent {
	w.t.Helper()
	var out api.ChatSent
	w.must("POST", fmt.Sprintf("/rooms/%d/messages", room), token, body).json(w.t, &out)
	return out
}

// picture returns one of 3 by 2 pixels.
func picture(t *testing.T, kind string) []byte {
	t.Helper()
	var b bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, nil)
	case "gif":
		err = gif.Encode(&b, img, nil)
	case "webp": // 1 by 1
		return mustBase64(t, "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mustBase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hugePNG is a picture that says it is so large, and has no pixels at all.
func hugePNG(width, height uint32) []byte {
	head := binary.BigEndian.AppendUint32(nil, width)
	head = append(binary.BigEndian.AppendUint32(head, height), 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), head...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(append([]byte("IHDR"), head...)))
}

func TestAttachments(t *testing.T) {
	w := start(t, "")
	room := w.room("Hangar")
	events := w.socket(fmt.Sprintf("/ws/rooms/%d", room))
	shot := w.file(room, "pilot", "shot.png", picture(t, "png"))
	if shot.Name != "shot.png" || shot.Type != "image/png" || shot.Width != 3 || shot.Height != 2 || shot.Size == 0 {
		t.Errorf("the picture is %+v", shot)
	}
	notes := w.file(room, "pilot", "notes.txt", []byte("take off at 9"))
	// Whose it is sees it before a line takes it along, and nobody else does; nobody else can send it either.
	at := func(id int64) string { return fmt.Sprintf("/rooms/%d/attachments/%d", room, id) }
	if a := w.call("GET", at(shot.ID), "pilot", ""); a.status != 200 || a.body != string(picture(t, "png")) {
		t.Errorf("own file: %d", a.status)
	}
	for _, token := range []string{"reader", "agent", "demo"} {
		if a := w.call("GET", at(shot.ID), token, ""); a.status != 404 {
			t.Errorf("%s gets a file that no line has: %d", token, a.status)
		}
	}
	if a := w.call("POST", "/rooms/1/messages", "agent", fmt.Sprintf(`{"text":"mine","attachments":[%d]}`, shot.ID)); a.status != 422 || !strings.Contains(a.body, "attachments") {
		t.Errorf("another's file in a line: %d %s", a.status, a.body)
	}
	sent := w.say(room, "pilot", fmt.Sprintf(`{"attachments":[%d,%d]}`, notes.ID, shot.ID))
	heard, err := read(events)
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Text        *string
		Attachments []api.ChatAttachment
	}
	if err := json.Unmarshal([]byte(heard.raw), &told); err != nil || told.Text == nil || len(told.Attachments) != 2 || told.Attachments[0] != notes || told.Attachments[1] != shot {
		t.Errorf("event %s", heard.raw)
	}
	if all := w.lines(room); len(all) != 1 || len(all[0].Attachments) != 2 || all[0].Attachments[1] != shot {
		t.Errorf("lines %+v", all)
	}
	if a := w.call("POST", "/rooms/1/messages", "pilot", fmt.Sprintf(`{"text":"again","attachments":[%d]}`, shot.ID)); a.status != 422 {
		t.Errorf("a file in two lines: %d %s", a.status, a.body)
	}
	a := w.must("GET", at(shot.ID), "reader", "")
	for name, want := range map[string]string{"Content-Type": "image/png", "Content-Disposition": `inline; filename="shot.png"`, "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-cache"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a := w.call("GET", at(shot.ID), "reader", "", "If-None-Match", a.header.Get("ETag")); a.status != 304 {
		t.Errorf("asked again: %d", a.status)
	}
	if a := w.call("GET", at(notes.ID), "reader", "", "Range", "bytes=5-7"); a.status != 206 || a.body != "off" {
		t.Errorf("a part: %d %q", a.status, a.body)
	}
	if a := w.call("DELETE", at(shot.ID), "pilot", ""); a.status != 409 {
		t.Errorf("a line's file is dropped: %d", a.status)
	}
	// With the line its files go, from the tables and from the disk.
	w.must("DELETE", fmt.Sprintf("/rooms/%d/messages/%d", room, sent.ID), "pilot", "")
	if a := w.call("GET", at(shot.ID), "pilot", ""); a.status != 404 {
		t.Errorf("a file of a line that was taken away: %d", a.status)
	}
	if err := w.files.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(w.folder()); len(left) != 0 {
		t.Errorf("on disk there is still %v", left)
	}
}

func TestWhatBrowsersGetToSee(t *testing.T) {
	w := start(t, "")
	room := w.room("Hangar")
	for _, tc := range []struct {
		name  string
		body  []byte
		typ   string // as the answer says
		saved string // Content-Disposition after attachment;, "" where it is shown
	}{
		{"a.png", picture(t, "png"), "image/png", ""}, {"a.jpg", picture(t, "jpeg"), "image/jpeg", ""},
		{"a.gif", picture(t, "gif"), "image/gif", ""}, {"a.webp", picture(t, "webp"), "image/webp", ""},
		{"page.png", picture(t, "png")[:20], "", `filename="page.png"`},                    // no whole header
		{"large.png", hugePNG(5001, 5000), "", `filename="large.png"`},                     // more than 25 million pixels
		{"fits.png", hugePNG(5000, 5000), "image/png", ""},                                 // and just as many
		{"evil.png", []byte("<html><script>alert(1)</script>"), "", `filename="evil.png"`}, // not what it claims
		{"x.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "", `filename="x.svg"`},
		{"x.xml", []byte(`<?xml version="1.0"?><a/>`), "", `filename="x.xml"`}, {"x.js", []byte("alert(1)"), "", `filename="x.js"`},
		{"doc.pdf", []byte("%PDF-1.7"), "", `filename="doc.pdf"`},
		{"r%C3%A9sum%C3%A9%20%22a%22.txt", []byte("x"), "", `filename="r_sum_ _a_.txt"; filename*=UTF-8''r%C3%A9sum%C3%A9%20%22a%22.txt`},
		{"..%2F..%2Fetc%2Fpasswd", []byte("x"), "", `filename="passwd"`}, {"C%3A%5Ctemp%5Ca.txt", []byte("x"), "", `filename="a.txt"`},
		{"gnp%E2%80%AEexe.txt", []byte("x"), "", `filename="gnpexe.txt"`}, {"a%0d%0aSet-Cookie:x", []byte("x"), "", `filename="aSet-Cookie:x"`},
		{"..", []byte("x"), "", `filename="file"`}, {"%2F", []byte("x"), "", `filename="file"`}, {"%E2%80%8B", []byte("x"), "", `filename="file"`},
		{strings.Repeat("n", 150) + ".txt", []byte("x"), "", `filename="` + strings.Repeat("n", 100) + "_" + strings.Repeat("n", 15) + `.txt"; filename*=UTF-8''` +
			strings.Repeat("n", 100) + "%E2%80%A6" + strings.Repeat("n", 15) + ".txt"},
	} {
		f := w.file(room, "pilot", tc.name, tc.body)
		a := w.must("GET", fmt.Sprintf("/rooms/%d/attachments/%d", room, f.ID), "pilot", "")
		typ, way := "application/octet-stream", "attachment; "+tc.saved
		if tc.saved == "" {
			typ, way = tc.typ, `inline; filename="`+tc.name+`"`
		}
		if got := a.header.Get("Content-Type"); got != typ {
			t.Errorf("%s is answered as %s, want %s", tc.name, got, typ)
		}
		if got := a.header.Get("Content-Disposition"); got != way {
			t.Errorf("%s: %s\nwant %s", tc.name, got, way)
		}
		if (f.Width > 0) != (tc.saved == "") || a.body != string(tc.body) {
			t.Errorf("%s is %+v, with %d bytes", tc.name, f, len(a.body))
		}
	}
}

// form is a multipart body with the parts (name, file name or "", text) and its Content-Type.
func form(parts ...[3]string) (body, typ string) {
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	for _, p := range parts {
		var pw io.Writer
		if p[1] != "" {
			pw, _ = mw.CreateFormFile(p[0], p[1])
		} else {
			pw, _ = mw.CreateFormField(p[0])
		}
		io.WriteString(pw, p[2])
	}
	mw.Close()
	return b.String(), mw.FormDataContentType()
}

func TestUploadsThatAreRefused(t *testing.T) {
	w := start(t, "")
	room := w.room("Hangar")
	var guild struct{ ID int64 }
	w.must("POST", "/rooms?name=Closed&kind=guild", "agent", "").json(t, &guild)
	w.must("POST", "/rooms/1/mute", "agent", "user_id=5")
	ok, okType := form([3]string{"file", "a.txt", "hi"})
	two, twoType := form([3]string{"file", "a.txt", "hi"}, [3]string{"file", "b.txt", "hi"})
	noFile, noFileType := form([3]string{"text", "", "hi"})
	after, afterType := form([3]string{"file", "a.txt", "hi"}, [3]string{"text", "", "hi"})
	for name, tc := range map[string]struct {
		path, token, body, typ string
		status                 int
		says                   string
	}{
		"a form":                   {"/rooms/1/attachments", "pilot", ok, okType, 200, `"name":"a.txt"`},
		"a form with another name": {"/rooms/1/attachments?name=c.txt", "pilot", ok, okType, 200, `"name":"c.txt"`},
		"two files":                {"/rooms/1/attachments", "pilot", two, twoType, 422, "only field"},
		"no file in the form":      {"/rooms/1/attachments", "pilot", noFile, noFileType, 422, "first field"},
		"a field after it":         {"/rooms/1/attachments", "pilot", after, afterType, 422, "only field"},
		"a form that ends early":   {"/rooms/1/attachments", "pilot", ok[:len(ok)-20], okType, 400, ""},
		"no boundary":              {"/rooms/1/attachments", "pilot", ok, "multipart/form-data", 400, ""},
		"nothing":                  {"/rooms/1/attachments?name=a", "pilot", "", "application/octet-stream", 422, "empty"},
		"no name":                  {"/rooms/1/attachments", "pilot", "x", "application/octet-stream", 422, "name"},
		"a JSON body":              {"/rooms/1/attachments?name=a", "pilot", "{}", "application/json", 415, ""},
		"a type that is none":      {"/rooms/1/attachments?name=a", "pilot", "x", "a b", 415, ""},
		"an unknown parameter":     {"/rooms/1/attachments?name=a&x=1", "pilot", "x", "text/plain", 422, "x"},
		"no room":                  {"/rooms/99/attachments?name=a", "pilot", "x", "text/plain", 404, ""},
		"another's room":           {"/rooms/2/attachments?name=a", "pilot", "x", "text/plain", 404, ""},
		"one who may not write":    {"/rooms/1/attachments?name=a", "reader", "x", "text/plain", 403, ""},
		"one who is muted":         {"/rooms/1/attachments?name=a", "outsider", "x", "text/plain", 403, "muted"},
		"too large":                {"/rooms/1/attachments?name=a", "pilot", strings.Repeat("x", attachment.MaxSize+1), "text/plain", 413, "20 MB"},
		"much too large":           {"/rooms/1/attachments?name=a", "pilot", strings.Repeat("x", attachment.MaxSize+100_000), "text/plain", 413, ""},
		"just as large":            {"/rooms/1/attachments?name=a", "pilot", strings.Repeat("x", attachment.MaxSize), "text/plain", 200, ""},
	} {
		before, _ := os.ReadDir(w.folder())
		a := w.call("POST", tc.path, tc.token, tc.body, "Content-Type", tc.typ)
		if a.status != tc.status || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s: %d %s; want %d with %q", name, a.status, a.body, tc.status, tc.says)
		}
		now, _ := os.ReadDir(w.folder())
		if (len(now) > len(before)) != (tc.status == 200) {
			t.Errorf("%s: %d files were there, then %d", name, len(before), len(now))
		}
	}
	for _, body := range []string{`{"text":"hi","attachments":[1,2,3,4,5,6,7,8,9,10,11]}`, `{"text":"hi","attachments":[99]}`, `{"text":" ","attachments":[1]}`, `{"attachments":[]}`} {
		if a := w.call("POST", fmt.Sprintf("/rooms/%d/messages", room), "pilot", body); a.status != 422 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestUploadTwiceWithOneKey(t *testing.T) {
	w := start(t, "")
	room := w.room("Hangar")
	a := w.upload(room, "pilot", "a.txt", []byte("one"), "Idempotency-Key", "k")
	b := w.upload(room, "pilot", "a.txt", []byte("one"), "Idempotency-Key", "k")
	if a.status != 200 || a.body != b.body {
		t.Errorf("%d %s, then %d %s", a.status, a.body, b.status, b.body)
	}
	if c := w.upload(room, "pilot", "a.txt", []byte("two"), "Idempotency-Key", "k"); c.status != 422 {
		t.Errorf("another file with the key: %d %s", c.status, c.body)
	}
	if left, _ := os.ReadDir(w.folder()); len(left) != 1 {
		t.Errorf("%d files are on disk", len(left))
	}
}

func TestFilesThatNoLineTook(t *testing.T) {
	begin := time.Now()
	var later atomic.Int64 // the clock is read every second by who watches the sockets
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) {
		o.Now = func() time.Time { return begin.Add(time.Duration(later.Load())) }
	})
	room := w.room("Hangar")
	for i := range 100 {
		w.file(room, "pilot", fmt.Sprintf("%d.txt", i), []byte("x"))
	}
	if a := w.upload(room, "pilot", "over.txt", []byte("x")); a.status != 409 {
		t.Errorf("one too many: %d %s", a.status, a.body)
	}
	w.file(room, "agent", "other.txt", []byte("x")) // another's are counted apart
	w.must("DELETE", fmt.Sprintf("/rooms/%d/attachments/1", room), "pilot", "")
	if a := w.call("DELETE", fmt.Sprintf("/rooms/%d/attachments/2", room), "agent", ""); a.status != 404 {
		t.Errorf("another's file is dropped: %d", a.status)
	}
	kept := w.file(room, "pilot", "kept.txt", []byte("x"))
	w.say(room, "pilot", fmt.Sprintf(`{"text":"hi","attachments":[%d]}`, kept.ID))
	later.Store(int64(25 * time.Hour))
	if err := w.files.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(w.folder()); len(left) != 1 {
		t.Errorf("%d files are on disk, want the one that went with a line", len(left))
	}
	w.must("GET", fmt.Sprintf("/rooms/%d/attachments/%d", room, kept.ID), "reader", "")
}

// What a kill leaves behind goes at the next start: files without a row, and files of rows that are gone.
func TestFilesAfterAKill(t *testing.T) {
	w := start(t, "")
	room := w.room("Hangar")
	f := w.file(room, "pilot", "a.txt", []byte("x"))
	w.say(room, "pilot", fmt.Sprintf(`{"text":"hi","attachments":[%d]}`, f.ID))
	w.stop()
	for _, name := range []string{"strange", "half.part"} {
		if err := os.WriteFile(filepath.Join(w.folder(), name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w = start(t, w.dir)
	for left := 2; left != 1; {
		entries, err := os.ReadDir(w.folder())
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
		left = len(entries)
	}
	if a := w.must("GET", fmt.Sprintf("/rooms/%d/attachments/%d", room, f.ID), "reader", ""); a.body != "x" {
		t.Errorf("the line's file is %q", a.body)
	}
}

// Who may not read the line does not get its files.
func TestFilesAreForWhoMayRead(t *testing.T) {
	w := start(t, "")
	var party struct{ ID int64 }
	w.must("POST", "/rooms?name=Match&kind=party", "agent", "").json(t, &party)
	f := w.file(party.ID, "agent", "a.txt", []byte("before"))
	w.say(party.ID, "agent", fmt.Sprintf(`{"text":"early","attachments":[%d]}`, f.ID))
	path := fmt.Sprintf("/rooms/%d/attachments/%d", party.ID, f.ID)
	if a := w.call("GET", path, "pilot", ""); a.status != 404 {
		t.Errorf("no member: %d", a.status)
	}
	w.must("POST", fmt.Sprintf("/rooms/%d/members", party.ID), "agent", "user_id=2")
	if a := w.call("GET", path, "pilot", ""); a.status != 404 {
		t.Errorf("a file from before they came: %d", a.status)
	}
	f = w.file(party.ID, "agent", "b.txt", []byte("after"))
	w.say(party.ID, "agent", fmt.Sprintf(`{"text":"late","attachments":[%d]}`, f.ID))
	path = fmt.Sprintf("/rooms/%d/attachments/%d", party.ID, f.ID)
	w.must("GET", path, "pilot", "")
	w.must("POST", fmt.Sprintf("/rooms/%d/ban", party.ID), "agent", "user_id=2")
	if a := w.call("GET", path, "pilot", ""); a.status != http.StatusForbidden {
		t.Errorf("banned: %d", a.status)
	}
	other := w.room("Other")
	if a := w.call("GET", fmt.Sprintf("/rooms/%d/attachments/%d", other, f.ID), "agent", ""); a.status != 404 {
		t.Errorf("through another room: %d", a.status)
	}
}
