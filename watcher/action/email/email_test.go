package email_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/watcher"
	"pharos/watcher/action/email"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
)

// smtpServer is a mail server that takes one e-mail after another without TLS.
type smtpServer struct {
	port  int
	mails chan mail
}

type mail struct {
	from string
	to   []string
	data string
}

func newSMTP(t *testing.T) *smtpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{port: l.Addr().(*net.TCPAddr).Port, mails: make(chan mail, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return s
}

func (s *smtpServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewScanner(conn)
	say := func(line string) { _, _ = fmt.Fprint(conn, line+"\r\n") }
	say("220 test")
	var m mail
	for in.Scan() {
		line := in.Text()
		switch {
		case strings.HasPrefix(line, "EHLO"):
			say("250 test")
		case strings.HasPrefix(line, "MAIL FROM:"):
			m = mail{from: line[len("MAIL FROM:"):]}
			say("250 ok")
		case strings.HasPrefix(line, "RCPT TO:"):
			m.to = append(m.to, line[len("RCPT TO:"):])
			say("250 ok")
		case line == "DATA":
			say("354 go on")
			var data strings.Builder
			for in.Scan() && in.Text() != "." {
				data.WriteString(in.Text() + "\n")
			}
			m.data = data.String()
			s.mails <- m
			say("250 ok")
		case line == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

type web struct{}

func (web) Do(context.Context, *httpcall.Call) (*httpcall.Response, error) {
	return &httpcall.Response{Status: 200, Header: http.Header{"Content-Type": {"text/csv"}}, Body: []byte("a,b")}, nil
}

func parse(t *testing.T, port int, text string) (watcher.Action, error) {
	t.Helper()
	v, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	deps := email.Deps{HTTP: web{}, NewID: func() string { return "1" }}
	if port > 0 {
		deps.Account = email.Account{Host: "127.0.0.1", Port: port, From: "pharos@example.org", TLS: "none", Timeout: 5 * time.Second}
	}
	return email.Parser(deps)("actions.mail.email", v)
}

func run(t *testing.T) watcher.Run {
	t.Helper()
	model, err := document.ParseObject([]byte(`{"ctx":{"watch_id":"w","payload":{"n":5,"to":"Ada <ada@example.org>, b@example.org"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return watcher.Run{ID: "w_1", WatchID: "w", ActionID: "mail", Model: model, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := document.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const full = `{"profile":"standard","attach_data":{"format":"yaml"},"attachments":{"d.json":{"data":{"format":"json"}},` +
	`"r.csv":{"http":{"request":{"scheme":"http","host":"h","port":80,"method":"get","params":{},"headers":{},"auth":{"basic":{"username":"u","password":"p"}}},"content_type":"text/x"}}},` +
	`"reply_to":["r@example.org"],"priority":"high","to":["{{ctx.payload.to}}"],"cc":["c@example.org"],"bcc":["hidden@example.org"],"subject":"{{ctx.payload.n}} bad",` +
	`"body":{"text":"plain {{ctx.payload.n}}","html":"<p onclick=\"x()\">{{ctx.payload.n}}</p><script>alert(1)</script><a href=\"https://l.example/\">l</a><img src=\"https://spy.example/\"/>"}}`

func TestSend(t *testing.T) {
	server := newSMTP(t)
	a, err := parse(t, server.port, full)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, a.Body()); got != full {
		t.Errorf("body\ngot  %s\nwant %s", got, full)
	}
	if got := fmt.Sprint(a.SecretPaths()); got != "[attachments.r.csv.http.request.auth.basic.password]" {
		t.Errorf("secrets %s", got)
	}
	r := a.Execute(t.Context(), run(t))
	want := `{"account":"default","message":{"id":"mail_w_1_1","from":"pharos@example.org","reply_to":["r@example.org"],"priority":"high","sent_date":"2026-01-02T03:04:05.000Z",` +
		`"to":["Ada <ada@example.org>","b@example.org"],"cc":["c@example.org"],"bcc":["hidden@example.org"],"subject":"5 bad",` +
		`"body":{"text":"plain 5","html":"<p>5</p><a href=\"https://l.example/\" rel=\"nofollow\">l</a>"}}}`
	if r.Status != watcher.Success || text(t, r.Detail) != want {
		t.Fatalf("%s %v\ngot  %s\nwant %s", r.Status, r.Err, text(t, r.Detail), want)
	}
	m := <-server.mails
	if !strings.Contains(m.from, "<pharos@example.org>") || len(m.to) != 4 {
		t.Errorf("envelope %q %q", m.from, m.to)
	}
	for _, part := range []string{
		"Subject: 5 bad", "X-Priority: 2", "Message-ID: <mail_w_1_1@pharos>", "Content-Type: multipart/alternative", "Content-Type: application/yaml", `name="r.csv"`, `name="d.json"`,
	} {
		if !strings.Contains(m.data, part) {
			t.Errorf("the e-mail lacks %q:\n%s", part, m.data)
		}
	}
	if strings.Contains(m.data, "hidden@example.org") {
		t.Error("the e-mail shows a blind copy")
	}
}

func TestFailures(t *testing.T) {
	const action = `{"to":"a@example.org","subject":"s"}`
	a, err := parse(t, 0, action)
	if err != nil {
		t.Fatal(err)
	}
	if r := a.Execute(t.Context(), run(t)); r.Status != watcher.Failure || !strings.Contains(r.Err.Error(), "SMTP_HOST") {
		t.Errorf("no account: %s %v", r.Status, r.Err)
	}
	for name, in := range map[string]string{
		"priority": `{"to":"a@example.org","priority":"{{ctx.watch_id}}"}`,
		"address":  `{"to":"{{ctx.watch_id}}"}`,
	} {
		a, err := parse(t, 1, in)
		if err != nil {
			t.Fatal(err)
		}
		if r := a.Execute(t.Context(), run(t)); r.Status != watcher.Failure || r.Err == nil {
			t.Errorf("%s: %s %v", name, r.Status, r.Err)
		}
	}
}

func TestRefused(t *testing.T) {
	for in, want := range map[string]string{
		`{"to":"not one"}`:                 `could not parse [email] action [mail]. invalid email address [not one] (at actions.mail.email.to)`,
		`{"account":"work"}`:               `could not parse [email] action [mail]. no account found for name: [work] (at actions.mail.email.account)`,
		`{"profile":"x"}`:                  `could not parse [email] action [mail]. [x] is an unknown profile (at actions.mail.email.profile)`,
		`{"x":"y"}`:                        `could not parse [email] action [mail]. unexpected string field [x] (at actions.mail.email.x)`,
		`{"body":{"markdown":"x"}}`:        `could not parse email template. unexpected string field [markdown] (at actions.mail.email.body.markdown)`,
		`{"attach_data":"x"}`:              `could not parse [email] action [mail]. could not parse data attachment. expected either a boolean value or an object but found [a string] instead (at actions.mail.email.attach_data)`,
		`{"attach_data":{"format":"xml"}}`: `could not parse data attachment. unknown data attachment format [xml] (at actions.mail.email.attach_data.format)`,
		`{"attachments":{"r.pdf":{"reporting":{"url":"x"}}}}`: `Cannot parse attachment. attachments of type [reporting] are not supported: Kibana's reports need a licence (at actions.mail.email.attachments.r.pdf.reporting)`,
	} {
		if _, err := parse(t, 1, in); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}
