// Package deploy_test holds docker-compose.yml against what Compose itself
// makes of it, against .env.example and against the native run.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// service is the part of Compose's model that is checked.
type service struct {
	Image       string
	Build       *struct{ Context, Dockerfile, Target string }
	User        string
	Restart     string
	Environment map[string]string
	Command     []string
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	CapAdd      []string `json:"cap_add"`
	MemLimit    any      `json:"mem_limit"`
	CPUs        float64  `json:"cpus"`
	PidsLimit   int      `json:"pids_limit"`
	SecurityOpt []string `json:"security_opt"`
	Privileged  bool
	NetworkMode string `json:"network_mode"`
	Healthcheck *struct {
		Test    []string
		Disable bool
	}
	DependsOn map[string]struct{ Condition string } `json:"depends_on"`
	Deploy    *struct{ Replicas int }
	Logging   *struct{ Options map[string]string }
	Ports     []struct {
		HostIP    string `json:"host_ip"`
		Published string
	}
	Volumes []struct{ Type, Source, Target string }
}

type project struct {
	Name     string
	Services map[string]service
	Volumes  map[string]any
}

const root = ".."

// once names the services that run to their end.
var once = []string{"setup-certificates", "setup-elasticsearch", "setup-kibana", "setup-mongodb"}

// compose runs Compose on docker-compose.yml with the settings in env.
func compose(t *testing.T, env map[string]string, args ...string) ([]byte, error) {
	t.Helper()
	program := os.Getenv("PHAROS_COMPOSE")
	if program == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		found, _ := filepath.Glob(filepath.Join(cache, "pharos", "compose-*", "docker-compose"))
		if len(found) == 0 {
			t.Skip("SKIPPED, NOTHING PROVED: no docker-compose in PHAROS_COMPOSE or the cache folder (make test builds it)")
		}
		program = found[0]
	}
	var settings strings.Builder
	for name, value := range env {
		settings.WriteString(name + "=" + value + "\n")
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte(settings.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-f", "docker-compose.yml", "--env-file", file, "config"}, args...)...)
	cmd.Dir = root
	// A setting in the environment would win over the file's.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	return append(out, said.Bytes()...), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	setting  = regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]*)=(.*)$`)
	offered  = regexp.MustCompile(`(?m)^#? ?([A-Z][A-Z0-9_]*)=`) // with what is commented out
	isSecret = regexp.MustCompile(`(PASSWORD|_KEY|TOKEN)$`)
)

// settings are .env.example's, with a value for each secret, as dev/env.sh
// fills them in.
func settings(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(read(t, ".env.example"), -1) {
		env[m[1]] = m[2]
		if m[2] == "" && isSecret.MatchString(m[1]) {
			env[m[1]] = "secret-of-" + m[1]
		}
	}
	return env
}

func load(t *testing.T) project {
	t.Helper()
	return loadWith(t, nil)
}

// loadWith is load with more settings.
func loadWith(t *testing.T, more map[string]string) project {
	t.Helper()
	env := settings(t)
	maps.Copy(env, more)
	out, err := compose(t, env, "--format", "json")
	if err != nil {
		t.Fatalf("docker compose config: %v\n%s", err, out)
	}
	var p project
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnlyTheDoorsArePublishedAndOnLoopback(t *testing.T) {
	t.Parallel()
	published := map[string]bool{}
	for name, s := range load(t).Services {
		for _, port := range s.Ports {
			published[name] = true
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
		if s.NetworkMode != "" || s.Privileged {
			t.Errorf("%s leaves its network or its limits", name)
		}
	}
	if got := slices.Sorted(maps.Keys(published)); !slices.Equal(got, []string{"console", "intake", "kibana", "nginx"}) {
		t.Errorf("published: %v", got)
	}
}

func TestNoSecretHasADefault(t *testing.T) {
	t.Parallel()
	full := settings(t)
	for name, s := range load(t).Services {
		for key, value := range s.Environment {
			if isSecret.MatchString(key) || strings.Contains(key, "ENCRYPTIONKEY") || key == "REDISCLI_AUTH" {
				if !strings.HasPrefix(value, "secret-of-") {
					t.Errorf("%s: %s = %q does not come from .env", name, key, value)
				}
				continue
			}
			if strings.Contains(value, "secret-of-") {
				t.Errorf("%s: %s shows a secret", name, key)
			}
		}
		if strings.Contains(strings.Join(s.Command, " "), "secret-of-") {
			t.Errorf("%s: its arguments show a secret", name)
		}
	}
	used := 0
	for name := range full {
		if !isSecret.MatchString(name) || !strings.Contains(read(t, "docker-compose.yml"), "${"+name+":?") {
			continue
		}
		used++
		without := maps.Clone(full)
		without[name] = ""
		if out, err := compose(t, without, "-q"); err == nil || !bytes.Contains(out, []byte(name)) {
			t.Errorf("starts without %s: %v %s", name, err, out)
		}
	}
	if used < 15 {
		t.Errorf("only %d secrets are asked for", used)
	}
}

func TestEveryVariableIsInTheExample(t *testing.T) {
	t.Parallel()
	out, err := compose(t, settings(t), "--variables")
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	known := map[string]bool{"COMPOSE_PROJECT_NAME": true} // Compose's own
	for _, m := range offered.FindAllStringSubmatch(read(t, ".env.example"), -1) {
		known[m[1]] = true
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n")[1:] {
		if name, _, _ := strings.Cut(line, " "); !known[name] {
			t.Errorf(".env.example does not name %s", name)
		}
	}
}

// A variable that stands in several places must mean the same in each.
func TestDefaultsAgree(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+):-([^}]*)\}`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		if d, ok := defaults[m[1]]; ok && d != m[2] {
			t.Errorf("%s is %q here and %q there", m[1], d, m[2])
		}
		defaults[m[1]] = m[2]
	}
	if got, want := defaults["GO_VERSION"], regexp.MustCompile(`ARG GO_VERSION=(\S+)`).FindStringSubmatch(read(t, "Dockerfile"))[1]; got != want {
		t.Errorf("GO_VERSION is %s in docker-compose.yml and %s in Dockerfile", got, want)
	}
	for name, value := range settings(t) {
		if d, ok := defaults[name]; ok && d != value && value != "" && value != "secret-of-"+name {
			t.Errorf("%s is %q without .env and %q in .env.example", name, d, value)
		}
	}
}

// everything are all services, with those of every profile.
func everything(t *testing.T) map[string]service {
	t.Helper()
	return loadWith(t, map[string]string{"COMPOSE_PROFILES": "*"}).Services
}

func TestServicesAreWatchedAndComeBack(t *testing.T) {
	t.Parallel()
	for name, s := range everything(t) {
		if s.Logging == nil || s.Logging.Options["max-size"] == "" {
			t.Errorf("%s: its output can fill the disk", name)
		}
		if slices.Contains(once, name) {
			if s.Restart != "no" || s.Healthcheck != nil {
				t.Errorf("%s runs once, but restart is %q", name, s.Restart)
			}
			continue
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s: restart is %q", name, s.Restart)
		}
		if s.Healthcheck == nil || s.Healthcheck.Disable || len(s.Healthcheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	services := load(t).Services
	for name, s := range services {
		for other, d := range s.DependsOn {
			want := "service_healthy"
			if slices.Contains(once, other) {
				want = "service_completed_successfully"
			}
			// Only for the order in which volumes are made.
			if name == "filebeat" && (other == "api" || other == "feed") {
				want = "service_started"
			}
			if d.Condition != want {
				t.Errorf("%s waits for %s: %s", name, other, d.Condition)
			}
		}
	}
	for name, others := range map[string][]string{
		"elasticsearch": {"setup-certificates"}, "nginx": {"api", "setup-certificates"}, "api": {"feed"}, "feed": {"mongodb", "mysql", "redis", "setup-mongodb"},
		"filebeat": {"elasticsearch", "setup-elasticsearch"}, "heartbeat": {"elasticsearch", "setup-elasticsearch"},
		"metricbeat": {"elasticsearch", "setup-elasticsearch"},
		"kibana":     {"elasticsearch", "setup-elasticsearch"}, "apm-server": {"elasticsearch", "setup-elasticsearch"}, "setup-kibana": {"kibana"},
	} {
		for _, other := range others {
			if _, ok := services[name].DependsOn[other]; !ok {
				t.Errorf("%s does not wait for %s", name, other)
			}
		}
	}
	for _, name := range []string{"api", "feed", "nginx"} { // they run unwatched, too
		for _, other := range []string{"elasticsearch", "setup-elasticsearch", "apm-server"} {
			if _, ok := services[name].DependsOn[other]; ok {
				t.Errorf("%s waits for %s", name, other)
			}
		}
	}
}

// Where a container may do more than the rest, docs/docker.md says why.
func TestContainersAreConfined(t *testing.T) {
	t.Parallel()
	writable := []string{"elasticsearch", "kafka"}
	added := map[string][]string{
		"nginx": {"CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"}, "filebeat": {"DAC_READ_SEARCH"}, "heartbeat": {"NET_RAW"},
	}
	page := read(t, "docs/docker.md")
	for name, s := range everything(t) {
		if s.MemLimit == nil || s.MemLimit == "0" || s.CPUs <= 0 || s.PidsLimit <= 0 {
			t.Errorf("%s: no limit of memory (%v), processors (%v) or processes (%v)", name, s.MemLimit, s.CPUs, s.PidsLimit)
		}
		if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !slices.Equal(s.CapAdd, added[name]) {
			t.Errorf("%s may do more than it needs: drops %v, adds %v, %v", name, s.CapDrop, s.CapAdd, s.SecurityOpt)
		}
		if s.ReadOnly == slices.Contains(writable, name) {
			t.Errorf("%s: read_only is %t", name, s.ReadOnly)
		}
		if s.User == "root" && name != "filebeat" {
			t.Errorf("%s runs as root", name)
		}
		if (!s.ReadOnly || len(s.CapAdd) > 0) && !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/docker.md does not say why %s may do more than others", name)
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`:\d+\.\d+\.\d+$`)
	dockerfile := read(t, "Dockerfile")
	example := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# ([A-Z_]+_(?:IMAGE|VERSION))=(.+)$`).FindAllStringSubmatch(read(t, ".env.example"), -1) {
		example[m[1]] = m[2]
	}
	for name, s := range everything(t) {
		switch {
		case s.Build == nil && !version.MatchString(s.Image):
			t.Errorf("%s: image %q", name, s.Image)
		case s.Build == nil:
			image, tag, _ := strings.Cut(s.Image, ":")
			found := ""
			for variable, value := range example {
				if value == image {
					found = variable
				}
			}
			if found == "" || !slices.Contains(slices.Collect(maps.Values(example)), tag) {
				t.Errorf("%s: .env.example does not name %s", name, s.Image)
			}
		case !strings.Contains(dockerfile, "FROM base AS "+s.Build.Target+"\n"):
			t.Errorf("%s: no target %q in Dockerfile", name, s.Build.Target)
		default:
			if _, err := os.Stat(filepath.Join(root, "cmd", s.Build.Target, "main.go")); err != nil {
				t.Error(err)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ARG ([A-Z_]+_(?:IMAGE|VERSION))=(.+)$`).FindAllStringSubmatch(dockerfile, -1) {
		if example[m[1]] != m[2] {
			t.Errorf("%s is %q in Dockerfile and %q in .env.example", m[1], m[2], example[m[1]])
		}
	}
	if !strings.Contains(dockerfile, "\nUSER 65532:65532\n") || !strings.Contains(dockerfile, "-trimpath") {
		t.Error("Dockerfile: not a user of its own, or not trimmed")
	}
}

// Plain `docker compose up` has what Pharos needs; a profile adds to it.
func TestProfiles(t *testing.T) {
	t.Parallel()
	core, with := load(t).Services, loadWith(t, map[string]string{"COMPOSE_PROFILES": "kafka"}).Services
	if _, ok := core["kafka"]; ok || len(core) < 19 {
		t.Errorf("without a profile: %v", slices.Sorted(maps.Keys(core)))
	}
	if _, ok := with["kafka"]; !ok || len(with) != len(core)+2 {
		t.Errorf("with the profile kafka: %v", slices.Sorted(maps.Keys(with)))
	}
	for name, s := range with {
		if _, ok := s.DependsOn["kafka"]; ok {
			t.Errorf("%s waits for Kafka, which may not be there", name)
		}
	}
}

// Who asks instances by name knows as many as there are.
func TestScaleEnv(t *testing.T) {
	t.Parallel()
	more := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(read(t, "deploy/scale.env"), -1) {
		more[m[1]] = m[2]
	}
	for _, c := range []struct {
		settings  map[string]string
		instances map[string]int
	}{{nil, map[string]int{"api": 2, "feed": 2}}, {more, map[string]int{"api": 4, "feed": 3}}} {
		services := loadWith(t, c.settings).Services
		for name, n := range c.instances {
			if services[name].Deploy.Replicas != n {
				t.Errorf("%d of %s, want %d", services[name].Deploy.Replicas, name, n)
			}
			for where, list := range map[string]string{
				"metricbeat": services["metricbeat"].Environment["METRICS_URLS"],
				"heartbeat":  services["heartbeat"].Environment[strings.ToUpper(name)+"_URLS"],
			} {
				if got := strings.Count(list, "-"+name+"-"); got != n {
					t.Errorf("%s knows %d of %d of %s: %s", where, got, n, name, list)
				}
			}
		}
		if api := services["api"].Environment["FEED_URLS"]; api != services["heartbeat"].Environment["FEED_URLS"] {
			t.Errorf("api knows %s", api)
		}
	}
}

func TestMountedFilesExist(t *testing.T) {
	t.Parallel()
	p := load(t)
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	// What Metricbeat measures; read only, or the file would not say so.
	host := map[string]map[string]bool{"metricbeat": {"/": true, "/proc": true, "/sys/fs/cgroup": true}}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == "volume" {
				used[v.Source] = true
				continue
			}
			if host[name][v.Source] {
				continue
			}
			if info, err := os.Stat(v.Source); err != nil || info.IsDir() {
				t.Errorf("%s mounts %s: %v", name, v.Source, err)
			}
			if v.Source != os.DevNull && !strings.HasPrefix(v.Source, here+string(filepath.Separator)) {
				t.Errorf("%s mounts %s, which is not of this repository", name, v.Source)
			}
		}
	}
	for name := range p.Volumes {
		if !used[name] {
			t.Errorf("volume %s is not used", name)
		}
	}
}

// Each instance is a monitor of its own in heartbeat.yml, by its place in the list.
func TestHeartbeatKnowsEveryInstance(t *testing.T) {
	t.Parallel()
	services := load(t).Services
	monitors := read(t, "heartbeat/heartbeat.yml")
	for name, list := range map[string]string{"api": "API_URLS", "feed": "FEED_URLS"} {
		urls := strings.Split(services["heartbeat"].Environment[list], ",")
		if n := services[name].Deploy.Replicas; n != len(urls) {
			t.Errorf("%d replicas of %s, %d in Heartbeat's %s", n, name, len(urls), list)
		}
		if n := strings.Count(monitors, "${pharos."+name+"."); n != len(urls) {
			t.Errorf("%d monitors of %s, %d in %s", n, name, len(urls), list)
		}
		for i, url := range urls {
			if !strings.Contains(monitors, "{type: http, id: "+name+"-"+string(rune('1'+i))+",") || !strings.Contains(url, "-"+name+"-"+string(rune('1'+i))+":") {
				t.Errorf("%s: %s", list, url)
			}
		}
	}
}

// nginx gets every variable that its template has, and the image fills in
// these and no other.
func TestNginxGetsItsTemplatesVariables(t *testing.T) {
	t.Parallel()
	nginx := load(t).Services["nginx"]
	// Compose writes a dollar sign as two.
	filter := regexp.MustCompile(strings.ReplaceAll(nginx.Environment["NGINX_ENVSUBST_FILTER"], "$$", "$"))
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(read(t, "nginx/nginx.conf.template"), -1) {
		names[m[1]] = true
	}
	native := read(t, "dev/run/nginx.sh")
	for name := range names {
		if _, ok := nginx.Environment[name]; !ok || !filter.MatchString(name) {
			t.Errorf("%s of the template is not filled in by Docker", name)
		}
		if !strings.Contains(native, "${"+name+"}") {
			t.Errorf("%s of the template is not filled in natively", name)
		}
	}
	for _, name := range []string{"NGINX_VERSION", "NGINX_ENVSUBST_FILTER", "PATH", "TZ", "MY_REGION"} {
		if filter.MatchString(name) {
			t.Errorf("the filter lets %s through", name)
		}
	}
}
