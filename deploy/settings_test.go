package deploy_test

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wired are the variables of Go processes that are no settings: they say where
// the parts of this installation are, and the two ways to run set them.
var wired = []string{
	"API_URLS", "DRAIN_DELAY", "ELASTICSEARCH_CA_FILE", "ELASTICSEARCH_PASSWORD", "ELASTICSEARCH_URL", "ELASTICSEARCH_USER",
	"ELASTIC_APM_SERVER_URL", "ELASTIC_STACK", "FEED_URLS", "KAFKA_USER", "LISTEN_ADDR", "LOG_FILE",
	"MONGODB_NEW_ROOT_PASSWORD", "MONGODB_ROOT_USER", "MONGODB_URI", "MONGODB_USER", "MYSQL_ADDR", "MYSQL_DATABASE", "MYSQL_USER",
	"NGINX_STATUS_URL", "NODE_NAME",
	"OBJECTIVES_DIR", "OTLP_LISTEN_ADDR", "REDIS_ADDR", "STATUS_STATE_FILE", "WATCHES_DIR",
	"PHAROS_JSON", "PHAROS_URL", // the operator's command
}

// asked returns the variables that Go processes read, with their defaults.
func asked(t *testing.T) map[string]string {
	t.Helper()
	tag := regexp.MustCompile(`\benv:"([A-Z][A-Z0-9_]*)[^"]*"(?: envDefault:"([^"]*)")?`)
	variables := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "var" || strings.HasPrefix(entry.Name(), ".") && path != root):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "//") {
				continue
			}
			for _, m := range tag.FindAllStringSubmatch(line, -1) {
				other := variables[m[1]]
				if other != "" && m[2] != "" && other != m[2] {
					t.Errorf("%s: %s is %q here and %q elsewhere", path, m[1], m[2], other)
				}
				variables[m[1]] = cmp.Or(m[2], other)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range wired {
		if _, ok := variables[name]; !ok {
			t.Errorf("no process reads %s", name)
		}
		delete(variables, name)
	}
	if len(variables) < 150 {
		t.Fatalf("only %d variables", len(variables))
	}
	return variables
}

// A setting reaches a native process only if .env.example names it.
func TestEverySettingIsInTheExampleWithItsDefault(t *testing.T) {
	t.Parallel()
	example := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$`).FindAllStringSubmatch(read(t, ".env.example"), -1) {
		if _, ok := example[m[1]]; ok {
			t.Errorf(".env.example has %s twice", m[1])
		}
		example[m[1]] = m[2]
	}
	for name, value := range asked(t) {
		switch got, ok := example[name]; {
		case !ok:
			t.Errorf(".env.example does not name %s", name)
		case got != value && value != "":
			t.Errorf("%s is %q in .env.example and %q by default", name, got, value)
		}
	}
}

// What .env.example offers for tuning reaches the containers, too.
func TestTuningReachesEveryGoProcess(t *testing.T) {
	t.Parallel()
	services, processes := load(t).Services, asked(t)
	_, tuning, found := strings.Cut(read(t, ".env.example"), "\n# ---- Tuning")
	tuning, _, ended := strings.Cut(tuning, "\n# ---- ")
	tuning, ofIntake, cut := strings.Cut(tuning, "\n# -- intake\n")
	if !found || !ended || !cut {
		t.Fatal(".env.example has lost a part")
	}
	name := regexp.MustCompile(`(?m)^# ([A-Z][A-Z0-9_]*)=`)
	for _, m := range name.FindAllStringSubmatch(ofIntake, -1) {
		if _, ok := services["intake"].Environment[m[1]]; !ok {
			t.Errorf("intake does not get %s", m[1])
		}
	}
	names := name.FindAllStringSubmatch(tuning, -1)
	if len(names) < 100 {
		t.Fatalf("only %d", len(names))
	}
	for _, m := range names {
		if _, ok := processes[m[1]]; !ok {
			t.Errorf("no process reads %s", m[1])
		}
		for _, service := range []string{"api", "feed", "jobs", "ingest", "analytics", "watcher", "console"} {
			if _, ok := services[service].Environment[m[1]]; !ok {
				t.Errorf("%s does not get %s", service, m[1])
			}
		}
	}
}
