package deploy_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"pharos/internal/certs"
)

// beat finds one of the Beats that the native run uses.
func beat(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "pharos", "beats-*", name))
	for _, path := range append([]string{filepath.Join(os.Getenv("PHAROS_BEATS"), name)}, found...) {
		if _, err := exec.LookPath(path); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	t.Skipf("SKIPPED, NOTHING PROVED: no %s in PHAROS_BEATS or the cache folder (make up builds it)", name)
	return ""
}

// Every Beat sends to an Elasticsearch whose certificate our authority signed, to
// none of another's, and without TLS where there is none.
func TestBeatsTrustTheAuthority(t *testing.T) {
	t.Parallel()
	dir, stranger := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, stranger} {
		if _, err := certs.Make(certs.Options{Dir: d, Now: time.Now(), Servers: []certs.Server{{Name: "elasticsearch", Hosts: []string{"127.0.0.1"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "elasticsearch.crt"), filepath.Join(dir, "elasticsearch.key"))
	if err != nil {
		t.Fatal(err)
	}
	says := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"name":"x","cluster_name":"x","cluster_uuid":"x","version":{"number":"8.19.13","build_flavor":"default"},"tagline":"You Know, for Search"}`)
	})
	secured := httptest.NewUnstartedServer(says)
	secured.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	secured.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // of handshakes that are to fail
	secured.StartTLS()
	t.Cleanup(secured.Close)
	plain := httptest.NewServer(says)
	t.Cleanup(plain.Close)

	for _, name := range []string{"filebeat", "heartbeat", "metricbeat"} {
		program := beat(t, name)
		for what, tt := range map[string]struct {
			url, authority string
			ok             bool
		}{
			"our authority": {secured.URL, filepath.Join(dir, certs.CAFile), true}, "another authority": {secured.URL, filepath.Join(stranger, certs.CAFile), false},
			"no authority": {secured.URL, "", false}, "no TLS": {plain.URL, "", true},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			state := t.TempDir()
			cmd := exec.CommandContext(ctx, program, "--strict.perms=false", "-c", name+".yml", "--path.home", state, "--path.config", filepath.Join(root, name),
				"--path.data", state, "--path.logs", state, "test", "output")
			cmd.Env = []string{
				"ELASTICSEARCH_URL=" + tt.url, "ELASTICSEARCH_CA_FILE=" + tt.authority, "FILEBEAT_PASSWORD=x", "HEARTBEAT_PASSWORD=x", "METRICBEAT_PASSWORD=x",
				"ENVIRONMENT=test", "REGION=here", "NODE_NAME=x", "METRICBEAT_HOSTFS=/",
			}
			out, err := cmd.CombinedOutput()
			cancel()
			if (err == nil) != tt.ok {
				t.Errorf("%s, %s: %v %s", name, what, err, out)
			}
		}
	}
}
