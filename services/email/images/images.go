// Package images fetches the pictures of a mail that lie elsewhere, when its reader asks for them: the sender's host hears from this server, and
// not from the reader's browser.
//
// It is no open proxy. An address is fetched only when it carries a mark that this process made, for one message, one address and a few hours; the
// mark is made while the message's HTML is shown to somebody who may read it and asked for its pictures. Only http and https are fetched, from
// hosts that package reach allows, which is asked again for each redirect and for what each name resolves to. Neither cookies nor a
// referrer go along. What comes must be a raster image by its own bytes, at most MaxSize large, within a bounded time; anything else
// is an error, and nothing is stored here. Everything here is safe for concurrent use.
package images

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
)

// The bounds of what is fetched.
const (
	MaxSize   = 5 << 20 // bytes of a picture
	maxURL    = 4 << 10 // characters of its address
	maxHops   = 3       // redirects on the way to it
	maxTime   = 10 * time.Second
	atOnce    = 16 // pictures of all readers
	goodFor   = 6 * time.Hour
	markBytes = 16
)

// Options is all that Images need; all of it is required.
type Options struct {
	Targets reach.Targets // where pictures may lie
	Now     func() time.Time
}

// Images makes the marks and fetches the pictures. Make them with New.
type Images struct {
	opts   Options
	key    []byte // of this process: marks end with it
	client *http.Client
	slots  chan struct{}
}

// New returns Images.
func New(o Options) *Images {
	key := make([]byte, 32)
	rand.Read(key) // never fails, as documented
	i := &Images{opts: o, key: key, client: o.Targets.Client(maxTime), slots: make(chan struct{}, atOnce)}
	i.client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		req.Header.Del("Referer")
		if len(via) > maxHops {
			return errors.New("too many redirects")
		}
		return i.check(req.URL)
	}
	return i
}

// Endpoints are the routes of pictures.
func (i *Images) Endpoints() []web.Endpoint {
	// The document that shows the picture has no origin, so that no cookie goes along: the mark stands for the reader.
	marked := web.Access{Open: true, Token: true, Describe: "whoever has an address that the message's HTML was given, for six hours"}
	return []web.Endpoint{
		web.Stream("GET", "/api/messages/{id}/image", marked, "A picture from elsewhere that the message shows, fetched by this server", i.serve),
	}
}

// mark signs what is allowed until a time.
func (i *Images) mark(until int64, what ...string) string {
	mac := hmac.New(sha256.New, i.key)
	fmt.Fprintf(mac, "%d", until)
	for _, w := range what {
		fmt.Fprintf(mac, "\x00%s", w)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:markBytes])
}

func (i *Images) holds(mark string, until int64, what ...string) bool {
	return hmac.Equal([]byte(mark), []byte(i.mark(until, what...))) && i.opts.Now().Unix() < until
}

// Ask returns what the address of a message's HTML has to carry for it to show its pictures from elsewhere. It is for somebody who may read
// the message and asked for that.
func (i *Images) Ask(message int64) string {
	until := i.opts.Now().Add(goodFor).Unix()
	return strconv.FormatInt(until, 10) + "." + i.mark(until, "show", strconv.FormatInt(message, 10))
}

// Asked reports whether asked is what Ask returned for the message, a few hours ago at most.
func (i *Images) Asked(message int64, asked string) bool {
	text, mark, _ := strings.Cut(asked, ".")
	until, err := strconv.ParseInt(text, 10, 64)
	return err == nil && i.holds(mark, until, "show", strconv.FormatInt(message, 10))
}

// Path returns the path at which the picture of an address is to be had for the message; "" when it is not one that is fetched.
func (i *Images) Path(message int64, address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxURL || i.check(u) != nil {
		return ""
	}
	// To the day: a browser that has the picture need not fetch it again.
	until := i.opts.Now().Add(goodFor).Truncate(goodFor).Add(goodFor).Unix()
	id := strconv.FormatInt(message, 10)
	q := url.Values{"url": {address}, "until": {strconv.FormatInt(until, 10)}, "mark": {i.mark(until, "image", id, address)}}
	return "/api/messages/" + id + "/image?" + q.Encode()
}

// check refuses an address that is not fetched, whatever its name resolves to.
func (i *Images) check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil || !i.opts.Targets.AllowsHost(u.Hostname()) {
		return errs.New(errs.Denied, "pictures are fetched from public hosts over http and https alone")
	}
	return nil
}

type imageParams struct {
	ID    int64  `path:"id" min:"1"`
	URL   string `json:"url" web:"required" max:"4096" doc:"of the picture"`
	Until int64  `json:"until" web:"required" doc:"Unix time until which the mark holds"`
	Mark  string `json:"mark" web:"required" max:"64" doc:"that this server made for the message and the address"`
}

func (i *Images) serve(c *web.Call, w http.ResponseWriter, in imageParams) error {
	if !i.holds(in.Mark, in.Until, "image", strconv.FormatInt(in.ID, 10), in.URL) {
		return errs.New(errs.Denied, "this address holds no longer; open the message again and let it show its pictures")
	}
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-c.Context().Done():
		return c.Context().Err()
	case <-time.After(maxTime):
		return errs.New(errs.Unavailable, "too many pictures are being fetched; try again in a moment")
	}
	picture, typ, err := i.fetch(c, in.URL)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", typ)
	h.Set("Content-Length", strconv.Itoa(len(picture)))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "private, max-age=86400")
	_, err = w.Write(picture)
	return err
}

// fetch returns a picture and what it is.
func (i *Images) fetch(c *web.Call, address string) ([]byte, string, error) {
	failed := func(why string, args ...any) error {
		return errs.New(errs.Upstream, "the picture could not be had: "+why, args...)
	}
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, "", failed("its address cannot be read")
	}
	if err := i.check(req.URL); err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", "image/png, image/jpeg, image/gif, image/webp")
	req.Header.Set("User-Agent", "Mozilla/5.0 (pictures for a mail's reader)")
	res, err := i.client.Do(req)
	if err != nil {
		var known *errs.Error
		if errors.As(err, &known) {
			return nil, "", known // where it leads is not allowed
		}
		return nil, "", failed("its host does not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, "", failed("its host says %d", res.StatusCode)
	}
	if res.ContentLength > MaxSize {
		return nil, "", failed("it is larger than %d MB", MaxSize>>20)
	}
	var b bytes.Buffer
	if n, err := b.ReadFrom(io.LimitReader(res.Body, MaxSize+1)); err != nil || n > MaxSize {
		if err == nil {
			return nil, "", failed("it is larger than %d MB", MaxSize>>20)
		}
		return nil, "", failed("its host broke off")
	}
	typ := http.DetectContentType(b.Bytes()) // what its host calls it counts for nothing
	if !slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, typ) {
		return nil, "", failed("it is no picture of a kind that is shown")
	}
	return b.Bytes(), typ, nil
}
