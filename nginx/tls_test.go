package nginx_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/internal/certs"
)

// secure runs an nginx that serves TLS, too, at the address that it returns,
// with a client that trusts its authority and follows no redirect.
func secure(t *testing.T, s settings) (*front, string, *http.Client) {
	t.Helper()
	dir := stateDir(t)
	if _, err := certs.Make(certs.Options{Dir: dir, Now: time.Now(), Servers: []certs.Server{{Name: "nginx", Hosts: []string{"127.0.0.1"}}}}); err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, certs.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	addr := freeAddr(t)
	s.tls = fmt.Sprintf("listen %s ssl; ssl_certificate %s/nginx.crt; ssl_certificate_key %s/nginx.key;", addr, dir, dir)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return start(t, s), addr, &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func ask(t *testing.T, client *http.Client, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func saysScheme(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	f, addr, client := secure(t, settings{servers: []string{api(t, saysScheme)}})
	res, said := ask(t, client, "GET", "https://"+addr+"/")
	if res.StatusCode != 200 || said != "https" || res.TLS.Version != tls.VersionTLS13 || res.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%d %q, TLS %x %v", res.StatusCode, said, res.TLS.Version, res.Header)
	}
	if res, said := ask(t, client, "GET", f.url("/")); res.StatusCode != 200 || said != "http" {
		t.Errorf("without TLS: %d %q", res.StatusCode, said)
	}
	res, body := get(t, "http://"+addr+"/v1/feed")
	checkProblem(t, res, body, 400, "malformed-request")
	schemes := map[any]int{}
	for _, text := range f.lines(t, 3) { // two workers write in any order
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		schemes[l["url.scheme"]]++
	}
	if schemes["https"] < 1 || schemes["http"] < 1 {
		t.Errorf("schemes %v", schemes)
	}
}

func TestOnlyModernTLS(t *testing.T) {
	t.Parallel()
	_, addr, _ := secure(t, settings{servers: []string{api(t, answers)}})
	for name, tt := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"1.3": {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"1.2": {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"1.1": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"1.2 without authenticated encryption": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
	} {
		tt.config.InsecureSkipVerify = true
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, tt.config)
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("TLS %s: %v", name, err)
		}
	}
}

// TestRedirectToTLS: whoever comes without TLS is sent there, but for health
// checks, and browsers are told to stay.
func TestRedirectToTLS(t *testing.T) {
	t.Parallel()
	f, addr, client := secure(t, settings{servers: []string{api(t, saysScheme)}, toTLS: "8443", hsts: "31536000"})
	for _, tt := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/v1/feed?limit=3&cursor=%2F%0d%0aSet-Cookie:x"}, {"POST", "/v1/sessions"}, {"GET", "/metrics"}, {"GET", "/status"}} {
		res, _ := ask(t, client, tt.method, f.url(tt.path))
		if want := "https://127.0.0.1:8443" + tt.path; res.StatusCode != http.StatusPermanentRedirect || res.Header.Get("Location") != want {
			t.Errorf("%s %s: %d to %q, want %q", tt.method, tt.path, res.StatusCode, res.Header.Get("Location"), want)
		}
		if hsts := res.Header.Get("Strict-Transport-Security"); hsts != "" {
			t.Errorf("%s says %q without TLS", tt.path, hsts)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", tt.path, res.Header)
		}
	}
	if res, said := ask(t, client, "GET", f.url("/healthz")); res.StatusCode != 200 || said != "http" {
		t.Errorf("a health check: %d %q", res.StatusCode, said)
	}
	for _, path := range []string{"/", "/healthz", "/metrics"} {
		res, said := ask(t, client, "GET", "https://"+addr+path)
		if hsts := res.Header.Get("Strict-Transport-Security"); hsts != "max-age=31536000" {
			t.Errorf("%s by TLS says %q", path, hsts)
		}
		if path != "/metrics" && (res.StatusCode != 200 || said != "https") {
			t.Errorf("%s by TLS: %d %q", path, res.StatusCode, said)
		}
	}
	// What can't be read has no path to be sent to.
	if got := raw(t, f.addr, "GET / HTTP/9.9\r\n\r\n"); !strings.Contains(got, " 400 ") {
		t.Errorf("an unreadable request: %s", got)
	}
}
