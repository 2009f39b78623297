package senderauth

import (
	"io"
	"mime"
	"net/mail"
	"strings"

	"uniqverse/smtpd/header"
)

// author is whom the From field names.
type author struct {
	domain string // canonical; "" when there is not exactly one
	fault  string // why not: no_from, many_from, bad_from
}

// AuthorFault says in one word what keeps a header from having exactly one author domain:
// no_from, many_from or bad_from; "" when nothing does.
func AuthorFault(fields []header.Field) string { return authorOf(fields).fault }

// authorOf finds the From domain. A message with two From fields, or with one that different
// programs read differently, has none: whoever shows it may show the other one.
func authorOf(fields []header.Field) author {
	var from *header.Field
	for i := range fields {
		if !fields[i].Is("From") {
			continue
		}
		if from != nil {
			return author{fault: "many_from"}
		}
		from = &fields[i]
	}
	if from == nil {
		return author{fault: "no_from"}
	}
	value := from.Value()
	if strings.ContainsFunc(value, func(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f }) {
		return author{fault: "bad_from"}
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		// The name is not looked at, so its charset must not matter.
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	list, err := parser.ParseList(value)
	if err != nil || len(list) == 0 {
		return author{fault: "bad_from"}
	}
	var domain string
	for _, a := range list {
		_, d := splitAddress(a.Address)
		d = canonical(d)
		if d == "" {
			return author{fault: "bad_from"}
		}
		if domain != "" && d != domain {
			return author{fault: "many_from"}
		}
		domain = d
	}
	return author{domain: domain}
}
