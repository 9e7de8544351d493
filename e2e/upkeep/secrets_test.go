package upkeep

import (
	"bytes"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/backup/mongobackup"
	"pharos/backup/sqlbackup"
	"pharos/elastic"
	"pharos/internal/env"
)

// settings reads the system's .env.
func (s *system) settings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.State, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

// refused reports, for the stores' passwords of these settings, which are refused.
func (s *system) refused(t *testing.T, of map[string]string) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for user, name := range map[string]string{"filebeat": "FILEBEAT_PASSWORD", "elastic": "ELASTIC_PASSWORD", "watcher": "WATCHER_PASSWORD"} {
		es, err := elastic.New(elastic.Config{URLs: s.Setup.URLs, User: user, Password: env.Secret(of[name])})
		if err != nil {
			t.Fatal(err)
		}
		got[name] = es.Ping(t.Context()) != nil
	}
	my := sqlbackup.Config{Addr: os.Getenv("MYSQL_ADDR"), User: "pharos", Database: "pharos", Password: env.Secret(of["MYSQL_PASSWORD"])}
	_, err := my.Version(t.Context())
	got["MYSQL_PASSWORD"] = err != nil
	mongo, err := mongobackup.Open(t.Context(), mongobackup.Config{URI: os.Getenv("MONGODB_URI"), User: "pharos", Password: env.Secret(of["MONGODB_PASSWORD"])})
	if err != nil {
		t.Fatal(err)
	}
	_, err = mongo.Documents(t.Context())
	got["MONGODB_PASSWORD"] = err != nil
	_ = mongo.Close(t.Context())
	got["REDIS_PASSWORD"] = !s.redisTakes(t, of["REDIS_PASSWORD"])
	return got
}

func (s *system) redisTakes(t *testing.T, password string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", os.Getenv("REDIS_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("AUTH " + password + "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.HasPrefix(answer[:n], []byte("+OK"))
}

// TestRotateSecrets changes some secrets of a running system under load, and then
// all. It is the last: the environment of this process has the old ones.
func TestRotateSecrets(t *testing.T) {
	s := open(t)
	p := s.newPerson(t)
	before := s.settings(t)
	stop := s.users(t, p)
	some := []string{"FILEBEAT_PASSWORD", "JWT_KEY", "INTERNAL_KEY", "REDIS_PASSWORD", "MYSQL_PASSWORD", "MONGODB_PASSWORD"}
	s.must(t, nil, "rotate-secrets", some...)
	sent, failed := stop()
	t.Logf("%d requests meanwhile, %d failed", sent, len(failed))
	if len(failed) > 0 {
		t.Errorf("%s", strings.Join(failed, "\n"))
	}
	after := s.settings(t)
	for _, name := range some {
		if after[name] == before[name] || len(after[name]) < 40 {
			t.Errorf("%s is what it was", name)
		}
	}
	if after["JWT_FORMER_KEYS"] != before["JWT_KEY"] || after["CONSOLE_KEY"] != before["CONSOLE_KEY"] {
		t.Error("JWT_FORMER_KEYS, or a secret that was not named")
	}
	s.check(t, p, before, after, some)

	// What the stores start with is the new value, too.
	s.restart(t, "redis")
	s.restart(t, "mysql")
	s.check(t, p, before, after, some)

	s.must(t, nil, "rotate-secrets", "--all")
	last := s.settings(t)
	changed := 0
	for name, value := range last {
		if value != after[name] {
			changed++
		}
	}
	if changed < 20 || last["DEMO_PASSWORD"] != before["DEMO_PASSWORD"] {
		t.Errorf("%d settings have changed", changed)
	}
	s.Setup.Password = env.Secret(last["ELASTIC_PASSWORD"])
	s.connect(t)
	s.check(t, p, after, last, []string{"ELASTIC_PASSWORD", "WATCHER_PASSWORD", "FILEBEAT_PASSWORD", "REDIS_PASSWORD", "MYSQL_PASSWORD", "MONGODB_PASSWORD"})
	eventually(t, 2*time.Minute, "every process is well", func() string {
		if said, code := s.run(t, nil, "status"); code != 0 {
			return said
		}
		return ""
	})
	for _, name := range []string{"x", "NGINX_PORT", "DEMO_PASSWORD", "SMTP_PASSWORD"} {
		if said, code := s.run(t, nil, "rotate-secrets", name); code != 1 {
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
	s.noneIsLogged(t, before, after, last)
}

// check compares what is refused, and looks whether all goes on.
func (s *system) check(t *testing.T, p person, before, after map[string]string, names []string) {
	t.Helper()
	old, current := s.refused(t, before), s.refused(t, after)
	for _, name := range names {
		if refused, known := old[name]; known && !refused {
			t.Errorf("the old %s is taken", name)
		}
		if current[name] {
			t.Errorf("the new %s is refused", name)
		}
	}
	if got := s.call(t, "GET", "/v1/feed", p.token, nil, nil); got != http.StatusOK {
		t.Errorf("a token of before gets %d", got)
	}
	s.signIn(t, p)
	eventually(t, 2*time.Minute, "lines arrive", func() string {
		s.call(t, "GET", "/tasks/fibonacci?n=7", "", nil, nil)
		if s.count(t, "logs-nginx.access-default", map[string]any{"range": map[string]any{"event.ingested": map[string]any{"gte": "now-5s"}}}) == 0 {
			return "none in the last 5 s"
		}
		return ""
	})
}

func (s *system) restart(t *testing.T, process string) {
	t.Helper()
	script := `. "$PHAROS_ROOT/dev/lib/common.sh"; . "$PHAROS_ROOT/dev/lib/stack.sh"; restart_process ` + process
	helper := filepath.Join(s.State, "restart-one")
	if err := os.WriteFile(helper, []byte("#!/usr/bin/env bash\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.must(t, nil, helper)
}

// noneIsLogged looks for every value that a secret has had in every log file.
func (s *system) noneIsLogged(t *testing.T, settings ...map[string]string) {
	t.Helper()
	secrets := map[string]string{}
	for _, of := range settings {
		for name, value := range of {
			if len(value) >= 40 && !strings.ContainsAny(value, "/,:") {
				secrets[value] = name
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(s.State, "logs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for value, name := range secrets {
			if bytes.Contains(text, []byte(value)) {
				t.Errorf("%s holds %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) < 40 {
		t.Errorf("only %d values", len(secrets))
	}
}
