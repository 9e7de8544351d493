package composetest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTLS reads the site by TLS as somebody who trusts the set-up's authority,
// and sees that Elasticsearch takes nothing else.
func TestTLS(t *testing.T) {
	s := open(t)
	authority := s.compose(t, "", "exec", "-T", "elasticsearch", "cat", "config/certificates/ca.crt")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority)) {
		t.Fatalf("no certificate: %s", authority)
	}
	ask := func(roots *x509.CertPool) (*http.Response, error) {
		client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}}
		return client.Get("https://localhost:" + s.settings["NGINX_TLS_PORT"] + "/healthz")
	}
	resp, err := ask(pool)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the site by TLS: %s", resp.Status)
	}
	if resp, err := ask(x509.NewCertPool()); err == nil {
		_ = resp.Body.Close()
		t.Error("somebody who trusts nobody is answered by TLS")
	}
	if out, err := s.try("", "exec", "-T", "elasticsearch", "curl", "-s", "-m", "5", "http://127.0.0.1:9200/"); err == nil {
		t.Errorf("Elasticsearch answers without TLS: %s", out)
	}
	// Who is signed for must not be able to sign.
	for _, server := range []string{"elasticsearch", "metricbeat", "heartbeat", "apm-server", "kibana"} {
		folder := "/var/lib/certificates"
		if server == "elasticsearch" {
			folder = "config/certificates"
		}
		if out, err := s.try("", "exec", "-T", server, "cat", folder+"/ca.key"); err == nil || !strings.Contains(err.Error(), "ermission denied") {
			t.Errorf("%s reads the authority's key: %v, %d bytes", server, err, len(out))
		}
		if out, err := s.try("", "exec", "-T", server, "cat", folder+"/nginx.key"); server != "elasticsearch" && err == nil {
			t.Errorf("%s reads nginx's key: %d bytes", server, len(out))
		}
	}
	eventually(t, arrival, "a probe by TLS", func() string {
		if len(s.search(t, "heartbeat-default", all(term("monitor.id", "site-tls"), term("monitor.status", "up")))) == 0 {
			return "none that is up"
		}
		return ""
	})
}
