package command_test

import (
	"testing"

	"uniqverse/smtpd/command"
)

func everything() command.Offer { return command.Offer{MaxBytes: 1000, DSN: true, RequireTLS: true} }

func TestMail(t *testing.T) {
	for _, c := range []struct {
		arg      string
		from     string
		ret, id  string
		enhanced string // of the refusal
		code     int
	}{
		{arg: "FROM:<a@b.test>", from: "a@b.test"},
		{arg: "FROM:<> RET=hdrs ENVID=QQ314159", ret: "HDRS", id: "QQ314159"},
		{arg: "FROM:<a@b.test> ENVID=a+2Bb+3D+20c", from: "a@b.test", id: "a+b= c"},
		{arg: "FROM:<a@b.test> REQUIRETLS RET=FULL", from: "a@b.test", ret: "FULL"},
		// Row 17: unknown, twice, of a wrong value, of a value that is not offered.
		{arg: "FROM:<a@b.test> RET=SOME", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> RET=FULL RET=HDRS", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> ENVID=", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> ENVID=a+2", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> ENVID=a+2b", code: 501, enhanced: "5.5.4"}, // xtext has capitals
		{arg: "FROM:<a@b.test> ENVID=a+0D+0Ab", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> ENVID=" + string(make([]byte, 101)), code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> REQUIRETLS=yes", code: 501, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> NOTIFY=NEVER", code: 555, enhanced: "5.5.4"},
		{arg: "FROM:<a@b.test> BODY=BINARYMIME", code: 504, enhanced: "5.5.4"},
	} {
		m, refusal := command.ParseMail(c.arg, everything())
		switch {
		case refusal == nil && c.code != 0:
			t.Errorf("%q was taken", c.arg)
		case refusal != nil:
			if refusal.Code != c.code || refusal.Enhanced != c.enhanced {
				t.Errorf("%q: got %+v", c.arg, refusal)
			}
		case m.From.Addr != c.from || m.Return != c.ret || m.EnvelopeID != c.id:
			t.Errorf("%q: got %+v", c.arg, m)
		}
	}
}

func TestRcpt(t *testing.T) {
	for _, c := range []struct {
		arg           string
		to            string
		notify, orcpt string
		code          int
	}{
		{arg: "TO:<a@b.test>", to: "a@b.test"},
		{arg: "TO:<postmaster>", to: "postmaster@mail.test"},
		{arg: "TO:<a@b.test> NOTIFY=success,FAILURE ORCPT=RFC822;First+2Blast@b.test", to: "a@b.test", notify: "SUCCESS,FAILURE", orcpt: "rfc822;First+last@b.test"},
		{arg: "TO:<a@b.test> NOTIFY=NEVER", to: "a@b.test", notify: "NEVER"},
		{arg: `TO:<a@b.test> ORCPT=utf-8;j\x{FC}rgen@b.test`, to: "a@b.test", orcpt: "utf-8;jürgen@b.test"},
		{arg: "TO:<a@b.test> NOTIFY=NEVER,SUCCESS", code: 501},
		{arg: "TO:<a@b.test> NOTIFY=SUCCESS,SUCCESS", code: 501},
		{arg: "TO:<a@b.test> NOTIFY=ALWAYS", code: 501},
		{arg: "TO:<a@b.test> NOTIFY=", code: 501},
		{arg: "TO:<a@b.test> NOTIFY=NEVER NOTIFY=NEVER", code: 501},
		{arg: "TO:<a@b.test> ORCPT=a@b.test", code: 501},
		{arg: "TO:<a@b.test> ORCPT=rfc822;", code: 501},
		{arg: "TO:<a@b.test> ORCPT=rfc822;a+0Ab", code: 501},
		{arg: `TO:<a@b.test> ORCPT=utf-8;a\x{A}b`, code: 501},
		{arg: `TO:<a@b.test> ORCPT=utf-8;a\x{FFFFFFFF}b`, code: 501},
		{arg: `TO:<a@b.test> ORCPT=utf-8;a\x{D800}b`, code: 501},
		{arg: "TO:<a@b.test> RET=FULL", code: 555},
	} {
		r, refusal := command.ParseRcpt(c.arg, "mail.test", false, everything())
		switch {
		case refusal == nil && c.code != 0:
			t.Errorf("%q was taken", c.arg)
		case refusal != nil && refusal.Code != c.code:
			t.Errorf("%q: got %+v", c.arg, refusal)
		case refusal == nil && (r.To != c.to || r.Notify != c.notify || r.ORCPT != c.orcpt):
			t.Errorf("%q: got %+v", c.arg, r)
		}
	}
	// What is not offered is not known.
	if _, refusal := command.ParseRcpt("TO:<a@b.test> NOTIFY=NEVER", "mail.test", false, command.Offer{}); refusal == nil || refusal.Code != 555 {
		t.Errorf("NOTIFY without DSN: got %+v", refusal)
	}
	if _, refusal := command.ParseMail("FROM:<a@b.test> REQUIRETLS", command.Offer{MaxBytes: 1}); refusal == nil || refusal.Code != 555 {
		t.Errorf("REQUIRETLS without the offer: got %+v", refusal)
	}
}

// FuzzParameters gives arguments of MAIL and RCPT: whatever is taken holds no control character, which
// could add lines to a report or to a command of ours.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{"FROM:<a@b.test> RET=FULL ENVID=x+2By", "TO:<a@b.test> NOTIFY=SUCCESS ORCPT=rfc822;a@b", `TO:<"a b"@b.test> ORCPT=utf-8;\x{FC}`, "FROM:<@r.test:x@y>", "TO:<postmaster>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for i := range len(s) {
			if s[i] < ' ' || s[i] == 0x7f {
				t.Skip() // the guard lets no such line through
			}
		}
		var out []string
		if m, refusal := command.ParseMail(s, everything()); refusal == nil {
			out = append(out, m.From.Addr, m.EnvelopeID, m.Return)
		}
		if r, refusal := command.ParseRcpt(s, "mail.test", true, everything()); refusal == nil {
			out = append(out, r.To, r.ORCPT, r.Notify)
			// What we write is read as what it was.
			again, refusal := command.ParseRcpt("TO:<"+r.To+">", "mail.test", true, everything())
			if refusal != nil || again.To != r.To {
				t.Errorf("%q became %q, which is read as %q, %+v", s, r.To, again.To, refusal)
			}
		}
		for _, o := range out {
			for i := range len(o) {
				if o[i] < ' ' || o[i] == 0x7f {
					t.Errorf("%q came out of %q", o, s)
				}
			}
		}
	})
}
