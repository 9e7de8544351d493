package httpserver_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/internal/httpserver"
)

// zipping serves a handler compressed; its client undoes nothing by itself.
func zipping(t *testing.T, h http.HandlerFunc) func(method string, header ...string) *http.Response {
	t.Helper()
	zipped, err := httpserver.Gzip(h)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(zipped)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(client.CloseIdleConnections)
	return func(method string, header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
}

func unzip(t *testing.T, body io.Reader) string {
	t.Helper()
	r, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGzip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<p>a page</p>", 1000)
	for name, c := range map[string]struct {
		contentType, encoding, body string
		header                      []string
		zipped                      bool
	}{
		"a page":                 {"text/html; charset=utf-8", "", long, []string{"Accept-Encoding", "gzip, deflate, br"}, true},
		"JSON":                   {"application/json", "", long, []string{"Accept-Encoding", "gzip"}, true},
		"a short answer":         {"text/html", "", "short", []string{"Accept-Encoding", "gzip"}, false},
		"who refuses it":         {"text/html", "", long, []string{"Accept-Encoding", "gzip;q=0"}, false},
		"who does not ask":       {"text/html", "", long, nil, false},
		"events":                 {"text/event-stream", "", long, []string{"Accept-Encoding", "gzip"}, false},
		"what is encoded before": {"text/html", "br", long, []string{"Accept-Encoding", "gzip"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := zipping(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				if c.encoding != "" {
					w.Header().Set("Content-Encoding", c.encoding)
				}
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, c.body)
			})
			resp := ask(http.MethodGet, c.header...)
			if resp.StatusCode != http.StatusTeapot || resp.Header.Get("Vary") != "Accept-Encoding" || resp.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			encoding := c.encoding
			if c.zipped {
				encoding = "gzip"
			}
			if got := resp.Header.Get("Content-Encoding"); got != encoding {
				t.Fatalf("encoded as %q", got)
			}
			body := ""
			if c.zipped {
				body = unzip(t, resp.Body)
			} else {
				text, _ := io.ReadAll(resp.Body)
				body = string(text)
			}
			if body != c.body {
				t.Errorf("%d bytes, want %d", len(body), len(c.body))
			}
			if head := ask(http.MethodHead, c.header...); head.StatusCode != http.StatusTeapot {
				t.Errorf("HEAD: %d", head.StatusCode)
			}
		})
	}
}

// The lengths of two answers of one size tell nothing of what they say.
func TestGzipHidesLengths(t *testing.T) {
	t.Parallel()
	ask := zipping(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.Repeat("x", 4096)+r.Header.Get("X-Word"))
	})
	lengths := map[int64]bool{}
	for n := range 20 {
		resp := ask(http.MethodGet, "Accept-Encoding", "gzip", "X-Word", fmt.Sprint(100+n))
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		lengths[int64(len(text))] = true
	}
	if len(lengths) < 5 {
		t.Errorf("only the lengths %v", lengths)
	}
}

// What is flushed arrives while the answer goes on; events come as they are.
func TestGzipStreams(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/event-stream", "application/x-ndjson"} {
		next := make(chan struct{})
		ask := zipping(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Trailer", "X-Count")
			for n := range 3 {
				_, _ = fmt.Fprintf(w, "line %d\n", n)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				<-next
			}
			w.Header().Set("X-Count", "3")
		})
		resp := ask(http.MethodGet, "Accept-Encoding", "gzip")
		body := io.Reader(resp.Body)
		if zipped := resp.Header.Get("Content-Encoding") == "gzip"; zipped == (contentType == "text/event-stream") {
			t.Fatalf("%s is encoded as %q", contentType, resp.Header.Get("Content-Encoding"))
		} else if zipped {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = unzipped
		}
		lines := bufio.NewReader(body)
		for n := range 3 {
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", n) {
				t.Fatalf("%s: %q, %v", contentType, line, err)
			}
			next <- struct{}{}
		}
		if _, err := lines.ReadString('\n'); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		// What is after the compressed part is read to find the trailer.
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Trailer.Get("X-Count") != "3" {
			t.Errorf("%s: %v, trailer %v", contentType, err, resp.Trailer)
		}
	}
}

// An answer that is cut off does not look whole.
func TestGzipOfAnAnswerThatBreaks(t *testing.T) {
	t.Parallel()
	ask := zipping(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, strings.Repeat("a line\n", 1000))
		control := http.NewResponseController(w)
		if err := errors.Join(control.Flush(), control.SetWriteDeadline(time.Unix(1, 0))); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.ReadAll(ask(http.MethodGet, "Accept-Encoding", "gzip").Body); err == nil {
		t.Error("it was read to its end")
	}
}

func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"gzip": true, "br, GZIP": true, "gzip;q=0.5": true, "gzip; q=0.001": true, "gzip;q=0": false, "gzip;q=0.000": false,
		"": false, "br": false, "*": false, "x-gzip": false, "gzipped": false,
	} {
		if got := httpserver.TakesGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
}
