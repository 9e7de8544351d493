package elastic

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pharos/internal/certs"
)

// secured serves as Elasticsearch does, with a certificate for these hosts, and
// returns its address and the authority's file.
func secured(t *testing.T, hosts ...string) (address, authority string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.Make(certs.Options{Dir: dir, Now: time.Now(), Servers: []certs.Server{{Name: "elasticsearch", Hosts: hosts}}}); err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "elasticsearch.crt"), filepath.Join(dir, "elasticsearch.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // of handshakes that are to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, filepath.Join(dir, certs.CAFile)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	here, authority := secured(t, "127.0.0.1")
	elsewhere, itsAuthority := secured(t, "elasticsearch.example")
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	for name, tt := range map[string]struct {
		address, authority string
		want               any
	}{
		"the authority that signed it":  {here, authority, nil},
		"another authority":             {here, itsAuthority, &unknown},
		"the system's authorities only": {here, "", &unknown},
		"a certificate of another name": {elsewhere, itsAuthority, &wrongName},
	} {
		c, err := New(Config{URLs: []string{tt.address}, User: "u", Password: "p", CAFile: tt.authority})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Ping(t.Context())
		if (tt.want == nil) != (err == nil) || err != nil && !errors.As(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A connection without TLS is none with a certificate.
	plain, err := url.Parse(here)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URLs: []string{"http://" + plain.Host}, User: "u", Password: "p", CAFile: authority})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("asked without TLS, and was answered")
	}
}

func TestCAFileMustHoldOne(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".missing"} {
		_, err := New(Config{URLs: []string{"https://x:9200"}, User: "u", Password: "p", CAFile: file})
		if err == nil || !strings.Contains(err.Error(), "ELASTICSEARCH_CA_FILE") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
