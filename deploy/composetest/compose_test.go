// Package composetest follows users through docker-compose.yml as dev/test-compose
// has brought it up, whole, from its published ports into Elasticsearch, and holds
// its containers and images against what the file promises of them.
package composetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// up is the system under test.
type up struct {
	settings map[string]string
	file     string // the .env that it was started with
}

// open skips the test where nothing has been brought up.
func open(t *testing.T) up {
	t.Helper()
	file := os.Getenv("PHAROS_TEST_COMPOSE")
	if file == "" {
		t.Skip("SKIPPED: needs a Docker daemon; run `make test-compose`")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := up{map[string]string{}, file}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			s.settings[name] = value
		}
	}
	return s
}

// compose runs Compose on the real file.
func (s up) compose(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := s.try(input, args...)
	if err != nil {
		t.Fatalf("docker compose %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (s up) try(input string, args ...string) (string, error) {
	cmd := exec.Command(os.Getenv("DOCKER_COMPOSE"), append([]string{"--project-directory", "../..", "-f", "../../docker-compose.yml", "--env-file", s.file}, args...)...)
	return output(cmd, input)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := output(exec.Command("docker", args...), "")
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func output(cmd *exec.Cmd, input string) (string, error) {
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, out, said.Bytes())
	}
	return string(out), err
}

// container is the part of Docker's own view of one that is checked.
type container struct {
	Service string
	Name    string
	ID      string
	State   string
	Health  string
	Exit    int `json:"ExitCode"`
}

// containers lists those of some services, or all, with those that have ended.
func (s up) containers(t *testing.T, services ...string) []container {
	t.Helper()
	var found []container
	for line := range strings.Lines(s.compose(t, "", append([]string{"ps", "-a", "--format", "json"}, services...)...)) {
		var c container
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		t.Fatal("there are no containers")
	}
	return found
}

// search asks Elasticsearch, which is not published, from inside its container,
// as the superuser. By standard input: arguments can be seen by every user.
func (s up) search(t *testing.T, stream string, query map[string]any) []map[string]any {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "size": 100, "sort": []any{map[string]any{"@timestamp": map[string]any{"order": "asc", "unmapped_type": "date"}}}})
	if err != nil {
		t.Fatal(err)
	}
	answer := s.elasticsearch(t, "/"+stream+"/_search?ignore_unavailable=true&expand_wildcards=open", string(body))
	var result struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
			}
		}
		Error any
	}
	if err := json.Unmarshal([]byte(answer), &result); err != nil || result.Error != nil {
		t.Logf("search %s: %v %s", stream, err, answer)
		return nil
	}
	var found []map[string]any
	for _, hit := range result.Hits.Hits {
		found = append(found, hit.Source)
	}
	return found
}

func (s up) elasticsearch(t *testing.T, path, body string) string {
	t.Helper()
	config := "silent\nshow-error\ncacert = config/certificates/ca.crt\nuser = " + strconv.Quote("elastic:"+s.settings["ELASTIC_PASSWORD"]) +
		"\nurl = " + strconv.Quote("https://127.0.0.1:9200"+path) + "\n"
	if body != "" {
		config += "header = \"Content-Type: application/json\"\ndata = " + strconv.Quote(body) + "\n"
	}
	return s.compose(t, config, "exec", "-T", "elasticsearch", "curl", "-K", "-")
}

// answer is what came back through a published port.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a request of nginx, the console or Kibana, by the setting that names
// its port. A header is a name and a value.
func (s up) ask(t *testing.T, port, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := s.tryAsk(t, port, method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (s up) tryAsk(t *testing.T, port, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+s.settings[port]+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// want is ask with the status that must come; it decodes the answer into v
// unless that is nil.
func (s up) want(t *testing.T, status int, v any, port, method, path, body string, header ...string) answer {
	t.Helper()
	a := s.ask(t, port, method, path, body, header...)
	if a.status != status {
		t.Fatalf("%s %s answered %d instead of %d: %.600s", method, path, a.status, status, a.body)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(a.body), v); err != nil {
			t.Fatalf("%s %s: %v in %.600s", method, path, err, a.body)
		}
	}
	return a
}

// eventually calls check until it returns "", and fails with what it returned
// last when the limit is over.
func eventually(t *testing.T, limit time.Duration, what string, check func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %s", what, limit, missing)
		}
		time.Sleep(time.Second)
	}
}

type query = map[string]any

func term(field string, value any) query { return query{"term": query{field: value}} }

func all(filters ...query) query { return query{"bool": query{"filter": filters}} }

// field finds a field whether its name is written with dots or as objects.
func field(doc map[string]any, name string) any {
	if v, ok := doc[name]; ok {
		return v
	}
	for i := range len(name) {
		if inner, ok := doc[name[:i]].(map[string]any); ok && name[i] == '.' {
			if v := field(inner, name[i+1:]); v != nil {
				return v
			}
		}
	}
	return nil
}
