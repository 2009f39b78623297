package message

import "testing"

// A text that is written as a field is read back as it was.
func TestWordsComeBack(t *testing.T) {
	for _, s := range []string{"plain", "with  two blanks", " leading", "ünïcode text that is rather long and has to be folded over a number of lines, so that each of them stays short enough",
		"=?utf-8?q?looks_encoded?=", "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語", "a very long plain text that has words enough to be folded at the blanks between its words more than once, it goes on and on and on"} {
		raw, refused, err := (&Maker{Domain: "x.test"}).Compose(map[string]jsonText{"subject": quote(s)})
		if err != nil || refused != nil {
			t.Fatal(err, refused)
		}
		p, err := Parse(NewSource(nil, reader(raw), int64(len(raw))))
		if err != nil {
			t.Fatal(err)
		}
		want := trimmed(s)
		if got, _ := p.Property("subject"); got != want {
			t.Errorf("%q came back as %q\n%s", s, got, raw)
		}
	}
}

func TestAddressesComeBack(t *testing.T) {
	for _, c := range []struct{ field, want string }{
		{`Ann <ann@x.test>, bob@x.test`, `[{"name":"Ann","email":"ann@x.test"},{"name":null,"email":"bob@x.test"}]`},
		{`"James Smythe" <james@example.com>, Friends: jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?= <john@example.com>;`,
			`[{"name":"James Smythe","email":"james@example.com"},{"name":null,"email":"jane@example.com"},{"name":"John Smîth","email":"john@example.com"}]`},
		{`x@y.test (The Name)`, `[{"name":"The Name","email":"x@y.test"}]`},
		{`"a, b" <"quoted local"@y.test>`, `[{"name":"a, b","email":"\"quoted local\"@y.test"}]`},
		{`undisclosed-recipients:;`, `[]`},
		{`<@route:a@b.test>`, `[{"name":null,"email":"a@b.test"}]`},
		{``, `[]`},
	} {
		if got := asJSON(t, Addresses(c.field)); got != c.want {
			t.Errorf("%s is %s, want %s", c.field, got, c.want)
		}
	}
	if got := asJSON(t, Groups(`"James" <j@e.test>, Friends: a@e.test, b@e.test;, c@e.test`)); got !=
		`[{"name":null,"addresses":[{"name":"James","email":"j@e.test"}]},{"name":"Friends","addresses":[{"name":null,"email":"a@e.test"},{"name":null,"email":"b@e.test"}]},{"name":null,"addresses":[{"name":null,"email":"c@e.test"}]}]` {
		t.Error(got)
	}
}

func TestForms(t *testing.T) {
	for name, ok := range map[string]bool{"header:Subject:asText": true, "header:subject:asAddresses": false, "header:From:asGroupedAddresses:all": true, "header:X-Any:asURLs": true,
		"header:Date:asText": false, "header:Date:asDate": true, "header:List-Post:asURLs": true, "header:Received:asText": false, "header:Received": true, "header:X:all:asText": false,
		"header:": false, "header:X:asWhat": false, "header:X:asRaw:all": true, "header:References:asMessageIds": true, "subject": false} {
		if _, got := ParseField(name); got != ok {
			t.Errorf("%s is %v", name, got)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add(`"a" <b@c>, g: x@y;, (c) d@e`)
	f.Fuzz(func(t *testing.T, s string) {
		Addresses(s)
		Groups(s)
	})
}
