package intake_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const metadata = `{"metadata":{"service":{"name":"api","agent":{"name":"go","version":"2.7.1"}}}}` + "\n"

func transaction(id int) string {
	return fmt.Sprintf(`{"transaction":{"id":"%d","trace_id":"t","type":"request","duration":1,"span_count":{"started":0}}}`, id) + "\n"
}

func transactions(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(transaction(i))
	}
	return b.String()
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.Bytes()
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.Bytes()
}

func TestEncodings(t *testing.T) {
	plain := metadata + transactions(12)
	for encoding, body := range map[string][]byte{
		"": []byte(plain), "identity": []byte(plain), "gzip": gzipped(plain), "GZIP": gzipped(plain), "deflate": deflated(plain),
	} {
		t.Run(encoding, func(t *testing.T) {
			s := start(t, settings())
			r := s.post(t, bytes.NewReader(body), "Content-Encoding", encoding, "Content-Type", "application/x-ndjson")
			if r.status != http.StatusAccepted || r.body != "" {
				t.Errorf("answered %d %s", r.status, r.body)
			}
			s.es.wait(t, 12)
			if n := s.metric(t, "pharos_intake_events_accepted_total", "type", "transaction"); n != 12 {
				t.Errorf("counted %v", n)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	plain := metadata + transactions(25)
	random := strings.Repeat(metadata, 1)
	for i := range 2000 {
		random += transaction(i * 7919 % 104729)
	}
	zipped := gzipped(random)
	for name, tt := range map[string]struct {
		body     []byte
		headers  []string
		status   int
		accepted int
		errors   []string // parts of the messages, in order
		invalid  string   // the reason that one line is counted under
	}{
		"empty":            {body: nil, status: 202},
		"empty deflate":    {body: nil, headers: []string{"Content-Encoding", "deflate"}, status: 202},
		"only metadata":    {body: []byte(metadata), status: 202},
		"no last newline":  {body: []byte(strings.TrimSuffix(plain, "\n")), status: 202, accepted: 25},
		"empty lines":      {body: []byte(strings.ReplaceAll(plain, "\n", "\n\n")), status: 202, accepted: 25},
		"no metadata":      {body: []byte(transactions(2)), status: 400, errors: []string{`"metadata" or "m" required`}, invalid: "malformed"},
		"broken metadata":  {body: []byte("{\"metadata\":{\n" + transactions(2)), status: 400, errors: []string{"metadata"}, invalid: "malformed"},
		"no service":       {body: []byte(`{"metadata":{}}` + "\n" + transactions(2)), status: 400, errors: []string{"'metadata' required"}, invalid: "malformed"},
		"malformed line":   {body: []byte(metadata + transactions(13) + "{\"transaction\":{]\n" + transactions(2)), status: 400, accepted: 15, errors: []string{"decode error"}, invalid: "malformed"},
		"missing field":    {body: []byte(metadata + `{"transaction":{"id":"1"}}` + "\n" + transactions(2)), status: 400, accepted: 2, errors: []string{"required"}, invalid: "malformed"},
		"unknown event":    {body: []byte(metadata + `{"profile":{}}` + "\n" + transactions(2)), status: 400, accepted: 2, errors: []string{"did not recognize object type"}, invalid: "malformed"},
		"not JSON":         {body: []byte(metadata + "hello\n" + transactions(2)), status: 400, accepted: 2, errors: []string{"did not recognize object type"}, invalid: "malformed"},
		"cut last line":    {body: []byte(plain[:len(plain)-20]), status: 400, accepted: 24, errors: []string{"decode error"}, invalid: "malformed"},
		"event too large":  {body: []byte(metadata + transactions(3) + `{"transaction":{"name":"` + strings.Repeat("x", 300<<10) + "\"}}\n" + transactions(2)), status: 400, accepted: 5, errors: []string{"event exceeded the permitted size"}, invalid: "too_large"},
		"metadata large":   {body: []byte(`{"metadata":{"labels":{"a":"` + strings.Repeat("x", 300<<10) + "\"}}}\n" + transactions(2)), status: 400, errors: []string{"event exceeded the permitted size"}, invalid: "too_large"},
		"wrong type":       {body: []byte(plain), headers: []string{"Content-Type", "text/plain"}, status: 400, errors: []string{"invalid content type: 'text/plain'"}},
		"zstd":             {body: []byte(plain), headers: []string{"Content-Encoding", "zstd"}, status: 400, errors: []string{"unsupported Content-Encoding"}},
		"not gzip":         {body: []byte(plain), headers: []string{"Content-Encoding", "gzip"}, status: 400, errors: []string{"invalid header"}},
		"cut gzip":         {body: gzipped(plain)[:30], headers: []string{"Content-Encoding", "gzip"}, status: 400, errors: []string{"unexpected EOF"}},
		"gzip, bad middle": {body: append(append([]byte{}, zipped[:len(zipped)/2]...), bytes.Repeat([]byte{0xff}, 64)...), headers: []string{"Content-Encoding", "gzip"}, status: 400, accepted: -1, errors: []string{"cannot read the body"}},
		"bomb, one line":   {body: gzipped(metadata + strings.Repeat(" ", 64<<20)), headers: []string{"Content-Encoding", "gzip"}, status: 400, errors: []string{"event exceeded the permitted size", "the request exceeded the permitted size"}, invalid: "too_large"},
		"bomb, many lines": {body: gzipped(metadata + strings.Repeat("\n", 64<<20)), headers: []string{"Content-Encoding", "gzip"}, status: 400, errors: []string{"the request exceeded the permitted size"}},
		"many bad lines":   {body: []byte(metadata + strings.Repeat("{}\n", 100) + transactions(1)), status: 400, accepted: 1, errors: []string{"", "", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, settings())
			r := s.post(t, bytes.NewReader(tt.body), tt.headers...)
			if r.status != tt.status {
				t.Fatalf("answered %d %s, want %d", r.status, r.body, tt.status)
			}
			if len(r.body) > 8<<10 {
				t.Errorf("answer of %d bytes", len(r.body))
			}
			if r.status == http.StatusAccepted && r.body != "" {
				t.Errorf("answered %s", r.body)
			}
			if len(r.Errors) != len(tt.errors) {
				t.Fatalf("errors %+v, want %q", r.Errors, tt.errors)
			}
			for i, part := range tt.errors {
				if !strings.Contains(r.Errors[i].Message, part) {
					t.Errorf("error %q, want %q", r.Errors[i].Message, part)
				}
			}
			want := tt.accepted
			if want < 0 { // as many as came before the break, whatever compression makes of it
				if want = r.Accepted; want == 0 {
					t.Error("nothing accepted before the break")
				}
			}
			if r.status != http.StatusAccepted && r.Accepted != want {
				t.Errorf("accepted %d, want %d", r.Accepted, want)
			}
			s.es.wait(t, want)
			if n := int(s.metric(t, "pharos_intake_events_accepted_total")); n != want {
				t.Errorf("counted %d, want %d", n, want)
			}
			if tt.invalid != "" {
				if n := s.metric(t, "pharos_intake_events_invalid_total", "reason", tt.invalid); n != 1 {
					t.Errorf("counted %v lines as %s", n, tt.invalid)
				}
			}
			for _, line := range s.logs.All() {
				if strings.Contains(fmt.Sprint(line.ContextMap()), "error found in #") {
					t.Errorf("the log quotes the stream: %v", line.ContextMap())
				}
			}
		})
	}
}

func TestVerbose(t *testing.T) {
	s := start(t, settings())
	r := s.send(t, http.MethodPost, "/intake/v2/events?verbose", strings.NewReader(metadata+transactions(3)))
	if r.status != http.StatusAccepted || r.Accepted != 3 || len(r.Errors) != 0 {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

func TestUnsampledTransactionsAreDropped(t *testing.T) {
	s := start(t, settings())
	r := s.post(t, strings.NewReader(metadata+transactions(1)+
		`{"transaction":{"id":"9","trace_id":"t","type":"request","duration":1,"sampled":false,"span_count":{"started":0}}}`+"\n"))
	if r.status != http.StatusAccepted {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	s.es.wait(t, 1)
	if n := s.metric(t, "pharos_intake_events_dropped_total", "reason", "unsampled"); n != 1 {
		t.Errorf("dropped %v", n)
	}
}

// TestSlowStream is an agent that keeps its request open while it has
// something to say.
func TestSlowStream(t *testing.T) {
	s := start(t, settings())
	r, w := io.Pipe()
	go func() {
		z := zlib.NewWriter(w)
		_, _ = io.WriteString(z, metadata)
		for i := range 20 {
			_, _ = io.WriteString(z, transaction(i))
			_ = z.Flush()
			time.Sleep(10 * time.Millisecond)
		}
		// Ten events are a batch: it does not wait for the stream's end.
		eventually(t, func() bool { return len(s.es.documents()) >= 10 })
		_ = z.Close()
		_ = w.Close()
	}()
	if r := s.post(t, r, "Content-Encoding", "deflate"); r.status != http.StatusAccepted {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	s.es.wait(t, 20)
}

// TestDisconnect is a client that dies within its third line: the lines before
// it count.
func TestDisconnect(t *testing.T) {
	s := start(t, settings())
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "POST /intake/v2/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100000\r\n\r\n", token)
	_, _ = io.WriteString(conn, metadata+transactions(2)+`{"transaction":{"id":`)
	time.Sleep(50 * time.Millisecond)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.es.wait(t, 2)
	eventually(t, func() bool { return s.metric(t, "pharos_intake_events_accepted_total") == 2 })
}

func TestTooManyStreams(t *testing.T) {
	cfg := settings()
	cfg.MaxStreams = 1
	s := start(t, cfg)
	r, w := io.Pipe()
	first := make(chan reply)
	go func() { first <- s.post(t, r) }()
	_, _ = io.WriteString(w, metadata+transactions(10))
	s.es.wait(t, 10)
	if r := s.post(t, strings.NewReader(metadata+transactions(1))); r.status != http.StatusServiceUnavailable {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	_ = w.Close()
	if r := <-first; r.status != http.StatusAccepted {
		t.Errorf("the first: answered %d %s", r.status, r.body)
	}
}

// TestInterrupt is a stop while an agent's request is open.
func TestInterrupt(t *testing.T) {
	s := start(t, settings())
	r, w := io.Pipe()
	answered := make(chan reply)
	go func() { answered <- s.post(t, r) }()
	_, _ = io.WriteString(w, metadata+transactions(3))
	time.Sleep(50 * time.Millisecond)
	begin := time.Now()
	s.in.Interrupt()
	a := <-answered
	_ = w.Close()
	if a.status != http.StatusServiceUnavailable || a.Accepted != 3 || a.Errors[0].Message != "server is shutting down" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if err := s.in.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := len(s.es.documents()); n != 3 {
		t.Errorf("%d documents after the stop", n)
	}
	if r := s.post(t, strings.NewReader(metadata+transactions(1))); r.status != http.StatusServiceUnavailable {
		t.Errorf("after the stop: answered %d %s", r.status, r.body)
	}
}
