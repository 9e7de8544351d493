package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pharos/internal/certs"
	"pharos/internal/teststack"
)

// door is nginx's by TLS, with the certificate that it made at its start.
type door struct {
	*stack
	Port        int    `env:"NGINX_TLS_PORT,required"`
	Hosts       string `env:"TLS_HOSTS,required"`
	WatcherPort int    `env:"WATCHER_PORT,required"`
}

func openDoor(t *testing.T) *door {
	d := teststack.Config[door](t)
	d.stack = open(t)
	return &d
}

func (d *door) certificates() string { return filepath.Join(d.State, "data", "certificates") }

// shake connects as a client that trusts the authority and nobody else, and
// returns what nginx showed.
func (d *door) shake(t *testing.T) (tls.ConnectionState, error) {
	t.Helper()
	authority, err := os.ReadFile(filepath.Join(d.certificates(), certs.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool}}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", d.Port))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = c.Close() }()
	secured, ok := c.(*tls.Conn)
	if !ok {
		t.Fatalf("%T", c)
	}
	return secured.ConnectionState(), nil
}

// renew makes nginx's certificate anew, good for so many days, and tells nginx.
func (d *door) renew(ctx context.Context, t *testing.T, days int) {
	t.Helper()
	out, err := exec.CommandContext(ctx, filepath.Join(d.State, "bin", "pharos"), "setup", "certificates",
		"--dir", d.certificates(), "--nginx-hosts", d.Hosts, "--days", strconv.Itoa(days), "--renew").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(d.State, "run", "nginx", "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateThatSoonEndsIsTold gives nginx a certificate with ten days left:
// Heartbeat's documents have its end, and the shipped watch tells of it.
func TestCertificateThatSoonEndsIsTold(t *testing.T) {
	d := openDoor(t)
	state, err := d.shake(t)
	if err != nil {
		t.Fatalf("before: %v", err)
	}
	if left := time.Until(state.PeerCertificates[0].NotAfter); left < 360*24*time.Hour || state.Version < tls.VersionTLS12 {
		t.Fatalf("a certificate for %s, TLS %x", left, state.Version)
	}
	const days = 10
	d.renew(t.Context(), t, days)
	t.Cleanup(func() { d.renew(context.WithoutCancel(t.Context()), t, 397) })
	var ends time.Time
	eventually(t, arrival, "nginx shows the new certificate", func() string {
		state, err := d.shake(t)
		if err != nil {
			return err.Error()
		}
		if ends = state.PeerCertificates[0].NotAfter; time.Until(ends) > days*24*time.Hour {
			return ends.String()
		}
		return ""
	})
	// A connection of before may give one more document of the old certificate.
	eventually(t, arrival, "Heartbeat has seen it", func() string {
		hits := d.search(t, "heartbeat-default", all(term("monitor.id", "site-tls"), term("monitor.status", "up"),
			query{"range": query{"tls.server.x509.not_after": query{"lte": ends.Format(time.RFC3339)}}}))
		if len(hits) == 0 {
			return "no document" + d.tail("heartbeat/*")
		}
		return ""
	})
	admin := watcherClient(t, fmt.Sprintf("http://127.0.0.1:%d", d.WatcherPort), "elastic", d.Setup.Password.Reveal())
	execute := admin.Watcher.ExecuteWatch
	eventually(t, arrival, "the watch tells", func() string {
		r, err := execute(execute.WithWatchID("certificate-expiry"), execute.WithContext(t.Context()),
			execute.WithBody(strings.NewReader(`{"action_modes":{"_all":"simulate"},"record_execution":false}`)))
		record, err := json.Marshal(decoded(t, r, err, http.StatusOK))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(record), "The certificate of site-tls ends in 9 days") {
			return string(record)
		}
		return ""
	})
}
