package attachment

import (
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/webp"

	"uniqverse/services/chat/text"
)

const (
	maxName   = 120        // characters of a file's name
	maxPixels = 25_000_000 // of a picture that pages show
)

// look says what a file is by its first bytes, and how large the picture is if it is one that pages show: 0 by 0
// for everything else. Of a picture nothing but the header is read.
func look(file io.ReadSeeker) (typ string, width, height int, err error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if err != nil && n == 0 && err != io.EOF {
		return "", 0, 0, err
	}
	typ, _, _ = strings.Cut(http.DetectContentType(head[:n]), ";")
	header := headerOf(typ)
	if header == nil {
		return typ, 0, 0, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", 0, 0, err
	}
	c, err := header(io.LimitReader(file, 1<<20))
	if err != nil || c.Width <= 0 || c.Height <= 0 || int64(c.Width)*int64(c.Height) > maxPixels {
		return typ, 0, 0, nil // to save, not to show
	}
	return typ, c.Width, c.Height, nil
}

// headerOf returns what reads the header of a kind of picture that pages show, nil for all else.
func headerOf(typ string) func(io.Reader) (image.Config, error) {
	switch typ {
	case "image/png":
		return png.DecodeConfig
	case "image/jpeg":
		return jpeg.DecodeConfig
	case "image/gif":
		return gif.DecodeConfig
	case "image/webp":
		return webp.DecodeConfig
	}
	return nil
}

// cleanName returns the name under which a file is kept and offered: its last part, without what shows nothing or
// turns the direction, cut in the middle where it is too long so that its ending stays.
func cleanName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(strings.TrimSpace(name), ".")
	if !text.Shows(name) || name == "/" {
		return "file"
	}
	if all := []rune(name); len(all) > maxName {
		name = string(all[:maxName-20]) + "…" + string(all[len(all)-19:])
	}
	return name
}

// disposition is a Content-Disposition (RFC 6266) with the name in ASCII and, where that differs, as it is (RFC 8187).
func disposition(kind, name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%/`, r) {
			return '_'
		}
		return r
	}, name)
	out := kind + `; filename="` + plain + `"`
	if plain == name {
		return out
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		}
	}
	return out + "; filename*=UTF-8''" + b.String()
}
