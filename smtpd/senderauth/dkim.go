package senderauth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"uniqverse/smtpd/header"
)

// dkim checks the first signatures of the message.
func (c *Checker) dkim(ctx context.Context, in Input) []DKIMSignature {
	var sigs []DKIMSignature
	for _, f := range in.Fields {
		if f.Is("DKIM-Signature") {
			if len(sigs) == c.sigs {
				break
			}
			sigs = append(sigs, describe(f))
		}
	}
	if len(sigs) == 0 {
		return nil
	}
	verdicts, err := dkim.VerifyWithOptions(terminated(in), &dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return c.dns.LookupTXT(ctx, name) },
		MaxVerifications: c.sigs,
	})
	if errors.Is(err, dkim.ErrTooManySignatures) {
		err = nil
	}
	for i := range sigs {
		s := &sigs[i]
		switch {
		case i < len(verdicts) && verdicts[i] != nil && (err == nil || verdicts[i].Err != nil):
			s.Result, s.Reason = dkimResult(verdicts[i].Err)
		default:
			s.Result, s.Reason = PermError, "the message cannot be read"
		}
		if s.Result == Pass {
			// What was verified is what counts, not our own reading of the field.
			s.Domain = canonical(verdicts[i].Domain)
		}
	}
	return sigs
}

// terminated returns the message, with the empty line that a header section without a body
// lacks: the library takes its absence for a broken message.
func terminated(in Input) io.Reader {
	var head int
	for _, f := range in.Fields {
		head += len(f.Raw)
	}
	r := in.Message()
	peek := make([]byte, head+2)
	n, _ := io.ReadFull(r, peek)
	peek = peek[:n]
	if n <= head {
		if !bytes.HasSuffix(peek, []byte("\r\n")) {
			peek = append(peek, "\r\n"...)
		}
		peek = append(peek, "\r\n"...)
	}
	return io.MultiReader(bytes.NewReader(peek), r)
}

// describe reads the tags that tell a signature from others. It decides nothing.
func describe(f header.Field) DKIMSignature {
	var s DKIMSignature
	for part := range strings.SplitSeq(f.Value(), ";") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.Join(strings.Fields(value), "")
		if len(value) > 253 && strings.TrimSpace(name) != "b" {
			continue
		}
		switch strings.TrimSpace(name) {
		case "d":
			s.Domain = strings.ToLower(value)
		case "s":
			s.Selector = value
		case "a":
			s.Algorithm = value
		case "b":
			s.Tag = value[:min(8, len(value))]
		}
	}
	return s
}

// dkimResult turns the library's error into a word (RFC 8601 section 2.7.1). What we refuse
// for being too weak is policy: the signature may well be right.
func dkimResult(err error) (Result, string) {
	if err == nil {
		return Pass, ""
	}
	text := strings.TrimPrefix(err.Error(), "dkim: ")
	switch {
	case dkim.IsTempFail(err):
		return TempError, "DNS did not answer"
	case strings.Contains(text, "body length tag"), strings.Contains(text, "too weak"), strings.Contains(text, "too short"):
		return Policy, text
	case dkim.IsPermFail(err):
		if i := strings.Index(text, "no key for signature"); i == 0 {
			text = "no key for signature"
		}
		return PermError, text
	default:
		return Fail, text
	}
}

// overall is the one word for all signatures: the best that can be said of the message.
func overall(sigs []DKIMSignature) Result {
	rank := []Result{Pass, TempError, Fail, Policy, PermError, Neutral}
	best := len(rank)
	for _, s := range sigs {
		for i, r := range rank[:best] {
			if s.Result == r {
				best = i
				break
			}
		}
	}
	if best == len(rank) {
		return None
	}
	return rank[best]
}
