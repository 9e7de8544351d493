package httpcall_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pharos/watcher/httpcall"
)

func config(allow ...string) httpcall.Config {
	return httpcall.Config{Allow: allow, MaxResponse: 1 << 10, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second}
}

func serve(t *testing.T, h http.HandlerFunc) (host string, port int) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL)
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port
}

func TestDo(t *testing.T) {
	var got string
	host, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		got = fmt.Sprintln(r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("X"), user, password, string(body))
		w.Header().Set("X.Y", "z")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, `short`)
	})
	body, password := ` {"a":1}`, "p"
	client := httpcall.NewClient(config("*://127.0.0.1:*"))
	response, err := client.Do(t.Context(), &httpcall.Call{
		Host: host, Port: port, Method: "post", Path: "/%3Clogs-%7Bnow%2Fd%7D%3E/a b/",
		Params: []httpcall.Param{{Name: "q", Value: "a&b c"}}, Headers: []httpcall.Param{{Name: "X", Value: "y"}},
		Auth: &httpcall.BasicAuth{Username: "u", Password: &password}, Body: &body,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "POST /%3Clogs-%7Bnow%2Fd%7D%3E/a%20b/ q=a%26b+c application/json y u p  {\"a\":1}\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	record := response.Record()
	record.Delete("headers")
	if text, _ := record.MarshalJSON(); string(text) != `{"status":418,"body":"short"}` {
		t.Errorf("record %s", text)
	}
	if v, _ := response.Headers().Get("x.y"); fmt.Sprint(v) != "[z]" {
		t.Errorf("header x.y is %v", v)
	}
}

func TestNothingForbiddenIsReached(t *testing.T) {
	reached := false
	host, port := serve(t, func(w http.ResponseWriter, _ *http.Request) { reached = true; _, _ = io.WriteString(w, "secret") })
	away := fmt.Sprintf("http://127.0.0.1:%d", port)
	redirecting, redirectPort := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, away, http.StatusFound) })
	onlyRedirecting := fmt.Sprintf("http://%s:%d", redirecting, redirectPort)

	for name, c := range map[string]struct {
		allow []string
		call  httpcall.Call
		want  string
	}{
		"loopback":                {[]string{"*"}, httpcall.Call{Host: host, Port: port}, "is loopback"},
		"a name of loopback":      {[]string{"*"}, httpcall.Call{Host: "localhost", Port: port}, "is loopback"},
		"IPv4 in IPv6":            {[]string{"*"}, httpcall.Call{Host: "::ffff:127.0.0.1", Port: port}, "is loopback"},
		"no address":              {[]string{"*"}, httpcall.Call{Host: "0.0.0.0", Port: port}, "is loopback"},
		"metadata":                {[]string{"*"}, httpcall.Call{Host: "169.254.169.254", Port: 80}, "is loopback"},
		"metadata on IPv6":        {[]string{"*"}, httpcall.Call{Host: "fd00:ec2::254", Port: 80}, "is loopback"},
		"a number of one part":    {[]string{"*"}, httpcall.Call{Host: "2130706433", Port: port}, ""},
		"not in the list":         {[]string{"https://example.org:*"}, httpcall.Call{Host: host, Port: port}, "is not allowed by the setting WATCHER_HTTP_ALLOW"},
		"an empty list":           {nil, httpcall.Call{Host: host, Port: port}, "is not allowed"},
		"another port":            {[]string{"http://127.0.0.1:1"}, httpcall.Call{Host: host, Port: port}, "is not allowed"},
		"a redirect":              {[]string{onlyRedirecting}, httpcall.Call{Host: redirecting, Port: redirectPort}, "is not allowed"},
		"a redirect, all but":     {[]string{onlyRedirecting, "*"}, httpcall.Call{Host: redirecting, Port: redirectPort}, "is loopback"},
		"a proxy":                 {[]string{"*"}, httpcall.Call{Host: "example.org", Port: 80, Proxy: &httpcall.Proxy{Host: host, Port: port}}, "is loopback"},
		"loopback behind a proxy": {[]string{"*"}, httpcall.Call{Host: "169.254.169.254", Port: 80, Proxy: &httpcall.Proxy{Host: host, Port: port}}, "is loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := httpcall.NewClient(config(c.allow...)).Do(t.Context(), &c.call)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if reached {
				t.Fatal("it was reached")
			}
		})
	}
}

func TestTrustedClientReachesLoopbackButNotByAWatchsProxy(t *testing.T) {
	host, port := serve(t, func(http.ResponseWriter, *http.Request) {})
	client := httpcall.NewTrustedClient(config("*"))
	if _, err := client.Do(t.Context(), &httpcall.Call{Host: host, Port: port}); err != nil {
		t.Error(err)
	}
	_, err := client.Do(t.Context(), &httpcall.Call{Host: "example.org", Port: 80, Proxy: &httpcall.Proxy{Host: host, Port: port}})
	if err == nil || !strings.Contains(err.Error(), "is loopback") {
		t.Errorf("by a proxy: %v", err)
	}
}

func TestLimits(t *testing.T) {
	client := httpcall.NewClient(config("*://127.0.0.1:*"))
	t.Run("size", func(t *testing.T) {
		host, port := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2<<10)) })
		_, err := client.Do(t.Context(), &httpcall.Call{Host: host, Port: port})
		if err == nil || !strings.Contains(err.Error(), "Maximum limit of [1024] bytes reached") {
			t.Error(err)
		}
	})
	t.Run("silence", func(t *testing.T) {
		done := make(chan struct{})
		host, port := serve(t, func(http.ResponseWriter, *http.Request) { <-done })
		defer close(done)
		short := 20 * time.Millisecond
		_, err := client.Do(t.Context(), &httpcall.Call{Host: host, Port: port, ReadTimeout: &short})
		if err == nil || !strings.Contains(err.Error(), "read timeout (20ms)") {
			t.Error(err)
		}
	})
	t.Run("nobody there, and no key in the error", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		_, err = client.Do(t.Context(), &httpcall.Call{Host: "127.0.0.1", Port: port, Params: []httpcall.Param{{Name: "key", Value: "s3cret"}}})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	})
	t.Run("a header can't end the headers", func(t *testing.T) {
		host, port := serve(t, func(http.ResponseWriter, *http.Request) {})
		_, err := client.Do(t.Context(), &httpcall.Call{Host: host, Port: port, Headers: []httpcall.Param{{Name: "X", Value: "a\r\nY: b"}}})
		if err == nil {
			t.Error("it was sent")
		}
	})
}

func TestRedirects(t *testing.T) {
	var methods []string
	host, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if r.URL.Path == "/from" {
			w.Header().Set("Location", "/to")
			w.WriteHeader(http.StatusFound)
		}
	})
	client := httpcall.NewClient(config("*://127.0.0.1:*"))
	for method, want := range map[string]int{"get": 200, "post": 302} {
		response, err := client.Do(t.Context(), &httpcall.Call{Host: host, Port: port, Method: method, Path: "/from"})
		if err != nil || response.Status != want {
			t.Errorf("%s: %v, %v; want %d", method, response, err, want)
		}
	}
}
