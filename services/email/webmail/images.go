package webmail

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/templates"
)

// prefImages is the start of the name of a choice: the pictures of a sender are always shown.
const prefImages = "images:"

// imagesParams are the form above a message whose pictures lie elsewhere.
type imagesParams struct {
	ID int64  `path:"id" min:"1"`
	Do string `json:"do" web:"required" max:"10" doc:"once, always (from this sender, whose address has to be proven by DMARC) or never"`
}

// imagesChosen is the answer to it.
type imagesChosen struct {
	Next string `json:"next"` // the page to go to
}

// chooseImages lets a message show its pictures from elsewhere, now or from its sender always.
func (w *Pages) chooseImages(c *web.Call, tx mailbox.Tx, in imagesParams) (imagesChosen, error) {
	m, err := tx.MessageByID(in.ID)
	if err != nil || c.Caller.ActAs(m.User, "email.admin") != nil {
		return imagesChosen{}, errs.New(errs.NotFound, "there is no such message")
	}
	next := "/messages/" + strconv.FormatInt(m.ID, 10)
	switch in.Do {
	case "once":
		return imagesChosen{next + "?images=" + url.QueryEscape(w.images.Ask(m.ID))}, nil
	case "always":
		if !proven(m) {
			return imagesChosen{}, errs.New(errs.Conflict, "who sent this is not proven (DMARC), so anybody could write in their name; show its pictures once")
		}
		return imagesChosen{next}, tx.SetPref(m.MailboxID, prefOf(m), "always")
	case "never":
		return imagesChosen{next}, tx.SetPref(m.MailboxID, prefOf(m), "")
	}
	return imagesChosen{}, errs.BadField("do", "must be once, always or never")
}

func prefOf(m mailbox.Message) string { return prefImages + strings.ToLower(m.FromAddress) }

// proven reports whether the author of a message is who it says, and it is no junk.
func proven(m mailbox.Message) bool {
	return m.DMARC == "pass" && m.FromAddress != "" && !slices.Contains(m.Flags, "spam")
}

// pictures says what the page shows about the message's pictures from elsewhere, and asks for them where its reader wants that.
func (w *Pages) pictures(c *web.Call, v *templates.MessageView, m mailbox.Message, asked string, show reading.Shown, body *mailbox.Content) error {
	src, _, err := show.HTMLPart.Text(body, reading.ShownHTML)
	if err != nil {
		return fmt.Errorf("decode stored message: %w", err)
	}
	if !htmlmail.Calls(src) {
		return nil
	}
	p := templates.Pictures{Sender: m.FromAddress, Proven: proven(m), Shown: w.images.Asked(m.ID, asked)}
	if p.Proven {
		choice, err := w.mail.Store.Pref(c.Context(), m.MailboxID, prefOf(m))
		if err != nil {
			return err
		}
		p.Always = choice == "always"
	}
	if p.Always {
		p.Shown, asked = true, w.images.Ask(m.ID)
	}
	if p.Shown {
		v.HTMLURL = token(c, fmt.Sprintf("/api/messages/%d/html", m.ID), url.Values{"images": {asked}})
	}
	v.Pictures = &p
	return nil
}
