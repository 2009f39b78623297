package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"uniqverse/store"
)

// What is acknowledged survives the program's sudden end, once.

const (
	killRounds  = 10 // TestKillAHundredTimes has more of them, with less load
	killSenders = 64 // of mail, and as many of chat
	largeMail   = 300_000
)

// item is a mail or a chat line of the load; its name is the mail's subject and Message-ID, or
// the line's text and Idempotency-Key.
type item struct {
	name string
	size int // of a mail's text
}

// killRound is one life of the program and what was sent in it.
type killRound struct {
	p       *program
	user    string // whose mailbox
	room    string // id
	roomURL string
	stop    chan struct{} // closed when the program is killed
	mu      sync.Mutex    // guards what follows
	mails   tally
	lines   tally
}

// tally is what was sent and how far it came.
type tally struct {
	acknowledged []string
	unanswered   []item // the program ended first: stored or not, both are right
}

// newKillRound opens the round's room in a program that runs.
func newKillRound(p *program, user string) *killRound {
	p.t.Helper()
	r := &killRound{p: p, user: user, stop: make(chan struct{})}
	r.room = p.room(user)
	r.roomURL = "chat/rooms/" + r.room + "/messages"
	return r
}

// note files the outcome of one item.
func (r *killRound) note(to *tally, it item, acknowledged bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if acknowledged {
		to.acknowledged = append(to.acknowledged, it.name)
	} else {
		to.unanswered = append(to.unanswered, it)
	}
}

// reached reports whether so many mails and so many lines were acknowledged.
func (r *killRound) reached(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mails.acknowledged) >= n && len(r.lines.acknowledged) >= n
}

func (r *killRound) over() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// text is the whole message of an item, with its final dot.
func (r *killRound) text(it item) string {
	body := strings.Repeat("the quick brown fox jumps over the lazy dog\r\n", it.size/45+1)
	return letter("load@peer.test", r.user+"@vezeuniqverse.com", it.name, body) + ".\r\n"
}

// smtpPeer is a connection that expects to be cut at any moment.
type smtpPeer struct {
	conn net.Conn
	r    *bufio.Reader
}

func (r *killRound) connect() (*smtpPeer, error) {
	conn, err := net.Dial("tcp", r.p.smtp["mx"])
	if err != nil {
		return nil, err
	}
	peer := &smtpPeer{conn, bufio.NewReader(conn)}
	if _, err := peer.answer("220"); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "HELO peer.test\r\n"); err != nil {
		return nil, err
	}
	_, err = peer.answer("250")
	return peer, err
}

// answer reads a one-line reply with this code; io errors are errors, other codes too.
func (p *smtpPeer) answer(code string) (string, error) {
	p.conn.SetReadDeadline(time.Now().Add(2 * longWait))
	line, err := p.r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, code+" ") {
		err = fmt.Errorf("the server says %q, want %s", line, code)
	}
	return line, err
}

// mail sends an item; sent is true from the moment when the program may have it whole.
func (p *smtpPeer) mail(r *killRound, it item) (sent bool, err error) {
	for _, step := range [][2]string{
		{"MAIL FROM:<load@peer.test>\r\n", "250"},
		{"RCPT TO:<" + r.user + "@vezeuniqverse.com>\r\n", "250"},
		{"DATA\r\n", "354"},
	} {
		if _, err := io.WriteString(p.conn, step[0]); err != nil {
			return false, err
		}
		if _, err := p.answer(step[1]); err != nil {
			return false, err
		}
	}
	if _, err := io.WriteString(p.conn, r.text(it)); err != nil {
		return true, err
	}
	_, err = p.answer("250")
	return true, err
}

// sendMails is one sender's life.
func (r *killRound) sendMails(t *testing.T, sender int) {
	peer, err := r.connect()
	for i := 0; err == nil; i++ {
		it := item{fmt.Sprintf("%s-sender-%d-mail-%d", r.user, sender, i), 100 + 100*(sender%20)}
		if sender == 0 {
			it.size = largeMail // kept in a file beside the database
		}
		var sent bool
		sent, err = peer.mail(r, it)
		if sent {
			r.note(&r.mails, it, err == nil)
		}
	}
	if peer != nil {
		peer.conn.Close()
	}
	if !r.over() {
		t.Errorf("sender %d was refused while the program ran: %v", sender, err)
	}
}

// post sends one chat line.
func (r *killRound) post(name string) error {
	status, answer, err := r.p.ask(r.p.t.Context(), "POST", r.roomURL, `{"text":"`+name+`"}`, "Idempotency-Key", name)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", status, answer)
	}
	return err
}

// postLines is one poster's life.
func (r *killRound) postLines(t *testing.T, poster int) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s-poster-%d-line-%d", r.user, poster, i)
		err := r.post(name)
		r.note(&r.lines, item{name: name}, err == nil)
		if err != nil {
			if !r.over() {
				t.Errorf("poster %d was refused while the program ran: %v", poster, err)
			}
			return
		}
	}
}

// run loads the program with everybody at once, and ends it when so many of each kind were
// acknowledged.
func (r *killRound) run(t *testing.T, until int, end func()) {
	t.Helper()
	var all sync.WaitGroup
	for i := range killSenders {
		all.Go(func() { r.sendMails(t, i) })
		all.Go(func() { r.postLines(t, i) })
	}
	late := time.Now().Add(60 * time.Second)
	for !r.reached(until) && time.Now().Before(late) && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	close(r.stop)
	end()
	all.Wait()
	if t.Failed() || !r.reached(until) {
		t.Fatalf("%d mails and %d lines were acknowledged, want %d of each", len(r.mails.acknowledged), len(r.lines.acknowledged), until)
	}
}

// repeat does what a sender does who got no answer: send the same again.
func (r *killRound) repeat(t *testing.T) {
	t.Helper()
	peer, err := r.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.conn.Close()
	for _, it := range r.mails.unanswered {
		if _, err := peer.mail(r, it); err != nil {
			t.Fatalf("%s sent again: %v", it.name, err)
		}
		r.mails.acknowledged = append(r.mails.acknowledged, it.name)
	}
	for _, it := range r.lines.unanswered {
		if err := r.post(it.name); err != nil {
			t.Fatalf("%s sent again: %v", it.name, err)
		}
		r.lines.acknowledged = append(r.lines.acknowledged, it.name)
	}
	r.mails.unanswered, r.lines.unanswered = nil, nil
}

// check compares what is stored with what was acknowledged.
func (r *killRound) check(t *testing.T) {
	t.Helper()
	r.checkMails(t)
	lines := r.p.lines(r.room)
	var stored []string
	for i, l := range lines {
		stored = append(stored, l.Text)
		if i > 0 && l.Seq != lines[i-1].Seq-1 {
			t.Errorf("%s: seq %d comes after %d", r.user, lines[i-1].Seq, l.Seq)
		}
	}
	sameNames(t, r.user+"'s lines", r.lines.acknowledged, stored)
}

// checkMails is check for mail alone.
func (r *killRound) checkMails(t *testing.T) {
	t.Helper()
	mails := r.p.mails(r.user)
	var stored []string
	for _, m := range mails {
		stored = append(stored, m["subject"].(string))
		if id := m["internet_message_id"]; id != m["subject"].(string)+"@e2e.test" {
			t.Errorf("%v has the Message-ID %v", m["subject"], id)
		}
	}
	sameNames(t, r.user+"'s mails", r.mails.acknowledged, stored)
	for _, m := range mails {
		if size := m["size"].(float64); size > largeMail {
			raw := string(r.p.must(200, "GET", fmt.Sprintf("email/api/messages/%.0f/raw?access_token=demo", m["id"]), ""))
			want := strings.TrimSuffix(r.text(item{m["subject"].(string), largeMail}), ".\r\n")
			if !strings.HasSuffix(raw, want) {
				t.Errorf("the large mail %v is not what was sent: %d bytes, want %d", m["subject"], len(raw), len(want))
			}
		}
	}
}

// sameNames fails the test unless both hold the same names, each once.
func sameNames(t *testing.T, what string, want, got []string) {
	t.Helper()
	n := map[string]int{}
	for _, name := range got {
		n[name]++
	}
	for _, name := range want {
		if n[name] != 1 {
			t.Errorf("%s: %s was acknowledged and is there %d times", what, name, n[name])
		}
		delete(n, name)
	}
	for name := range n {
		t.Errorf("%s: %s is there and was never sent so", what, name)
	}
}

// line is a chat line as the API lists it.
type line struct {
	ID   int64  `json:"id"`
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

// lines returns every line of a room, newest first, page by page.
func (p *program) lines(room string) []line {
	p.t.Helper()
	var all []line
	before := ""
	for {
		var page []line
		body := p.must(200, "GET", "chat/rooms/"+room+"/messages?limit=200"+before, "")
		if err := json.Unmarshal(body, &page); err != nil {
			p.t.Fatal(err)
		}
		if all = append(all, page...); len(page) < 200 {
			return all
		}
		before = fmt.Sprintf("&before=%d", page[199].ID)
	}
}

// TestKillLosesNothingAcknowledged is row 45 of docs/smtp.md.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	p := newProgram(t)
	var rounds []*killRound
	mails, lines, unanswered := 0, 0, 0
	for i := range killRounds {
		p.launch()
		if i > 0 {
			last := rounds[i-1]
			unanswered += len(last.mails.unanswered) + len(last.lines.unanswered)
			last.repeat(t)
			last.check(t)
		}
		r := newKillRound(p, fmt.Sprintf("round%d", i))
		rounds = append(rounds, r)
		r.run(t, 70+i*17%130, p.killed) // another moment in each round
		mails, lines = mails+len(r.mails.acknowledged), lines+len(r.lines.acknowledged)
	}
	p.launch()
	rounds[killRounds-1].repeat(t)
	for _, r := range rounds {
		r.check(t)
	}
	// What the ends left behind is cleared away: files of mails that were not acknowledged, and
	// what was being received.
	large := 0
	for _, r := range rounds {
		for _, m := range p.mails(r.user) {
			if m["size"].(float64) > largeMail {
				large++
			}
		}
	}
	if large == 0 {
		t.Error("no large mail was sent at all")
	}
	eventually(t, "the folders hold what the database knows", func() bool {
		return len(snapshot(t, filepath.Join(p.dir, "mail"))) == large && len(snapshot(t, filepath.Join(p.dir, "spool"))) == 0
	})
	t.Logf("%d ends: %d mails and %d lines were acknowledged, %d had no answer", killRounds, mails, lines, unanswered)
	p.killed()
	checkStore(t, p.dir)
}

// A drain under load ends in time, and like a kill it loses nothing that was acknowledged.
func TestProcessDrainsUnderLoad(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	p := newProgram(t)
	for i := range 3 {
		p.launch()
		r := newKillRound(p, fmt.Sprintf("drain%d", i))
		r.run(t, 100, func() {
			p.signal(syscall.SIGTERM)
			if status := p.gone(drainTime); status != 0 {
				t.Errorf("exit status %d, want 0\n%s", status, p.err)
			}
		})
		p.launch()
		r.repeat(t)
		r.check(t)
		p.drained()
	}
	checkStore(t, p.dir)
}

// checkStore opens the database as the last end left it, and has every page of it looked at.
func checkStore(t *testing.T, dir string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for check, want := range map[string][]string{"PRAGMA integrity_check": {"ok"}, "PRAGMA foreign_key_check": nil} {
		rows, err := db.Query(t.Context(), check)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			var word string
			var rest [3]any
			dst := []any{&word, &rest[0], &rest[1], &rest[2]}
			if columns, _ := rows.Columns(); len(columns) < len(dst) {
				dst = dst[:len(columns)]
			}
			if err := rows.Scan(dst...); err != nil {
				t.Fatal(err)
			}
			got = append(got, word)
		}
		if err := rows.Err(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s says %v (%v), want %v", check, got, err, want)
		}
	}
}
