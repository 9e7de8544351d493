package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pharos/elastic"
)

// given are the tokens and API keys that the system gave the tests' users.
var given secretsGiven

type secretsGiven struct {
	mu      sync.Mutex
	secrets []string
}

// note keeps what an answer to a sign-in or to the making of a key holds.
func (g *secretsGiven) note(path string, body []byte) {
	var secret struct{ Token, Key string }
	if path != "/v1/sessions" && path != "/v1/api-keys" || json.Unmarshal(body, &secret) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// Its end is what opens something: a key's beginning is shown in lists.
	for _, s := range []string{secret.Token, secret.Key} {
		if len(s) > endLength {
			g.secrets = append(g.secrets, s[len(s)-endLength:])
		}
	}
}

const endLength = 24

// TestNoSecretIsInAnyLogOrIndex looks for every secret of .env, and for the
// passwords, tokens and keys of all the tests before this one, in every log file,
// in every document of Elasticsearch and in the arguments of every process. Go
// runs the files' tests by the files' names, and this one's is the last.
func TestNoSecretIsInAnyLogOrIndex(t *testing.T) {
	s := open(t)
	c := newClient(s)
	c.signUp(t, "secret") // so that there is something where this runs alone
	n := s.secrets(t)
	t.Logf("%d secrets", len(n.names))

	files := 0
	err := filepath.WalkDir(filepath.Join(s.State, "logs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := readLog(path)
		if os.IsNotExist(err) {
			return nil // rotated away
		}
		files++
		for _, name := range n.in(text) {
			t.Errorf("%s holds %s", path, name)
		}
		return err
	})
	if err != nil || files < 15 {
		t.Errorf("%d log files were read: %v", files, err)
	}

	arguments, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(arguments) < 10 {
		t.Errorf("%d processes: %v", len(arguments), err)
	}
	for _, path := range arguments {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for _, name := range n.in(text) {
			program, _, _ := strings.Cut(string(text), "\x00")
			t.Errorf("the arguments of %s hold %s", program, name)
		}
	}

	documents := 0
	personal := map[string]bool{}
	s.eachDocument(t, func(h elastic.Hit) {
		documents++
		if isLog(h.Index) {
			personalFields(h.Source, personal)
		}
		for _, name := range n.in(h.Source) {
			t.Errorf("%s/_doc/%s holds %s", h.Index, h.ID, name)
		}
	})
	t.Logf("%d log files, %d processes, %d documents", files, len(arguments), documents)
	if documents < 100 {
		t.Errorf("only %d documents", documents)
	}
	described(t, personal)
	for _, file := range []string{".env", "run/env", "data/certificates/nginx.key", "data/certificates/ca.key"} {
		info, err := os.Stat(filepath.Join(s.State, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want for its owner only", file, info, err)
		}
	}
}

// isLog reports whether an index is of a stream of our own logs or traces: those
// have what people asked for. (The rest are figures, what operators wrote, and
// what other programs or tests sent.)
func isLog(index string) bool {
	return slices.ContainsFunc([]string{"logs-nginx.access-default", "logs-nginx.error-default", "logs-pharos-default", "logs-apm.error-default", "traces-apm-default"},
		func(stream string) bool { return strings.Contains(index, stream) })
}

// aboutPeople are the beginnings of fields that may tell of a person.
var aboutPeople = []string{"client.", "source.", "destination.", "user.", "user_agent.", "url.", "related.", "http.request.headers.", "http.request.body.", "http.request.cookies.", "http.request.referrer", "http.request.env."}

// personalFields adds a document's fields that may tell of a person.
func personalFields(source json.RawMessage, into map[string]bool) {
	var d map[string]any
	if json.Unmarshal(source, &d) != nil {
		return
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		if inner, ok := v.(map[string]any); ok {
			for name, value := range inner {
				walk(strings.TrimPrefix(at+"."+name, "."), value)
			}
			return
		}
		if slices.ContainsFunc(aboutPeople, func(p string) bool { return strings.HasPrefix(at, p) }) {
			into[at] = true
		}
	}
	walk("", d)
}

// never are the fields that must not be there at all.
var never = []string{"user.email", "user.full_name", "user.password", "http.request.body.original", "http.request.body.content", "url.username", "url.password"}

// described fails for fields that must never be there, and lists those of which
// docs/personal-data.md, where each has its reason, does not tell yet. Headers of
// requests are one line there, for all.
func described(t *testing.T, fields map[string]bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "personal-data.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !fields["client.ip"] || !fields["user.id"] {
		t.Errorf("only %v is told of people", fields)
	}
	for field := range fields {
		if slices.Contains(never, field) {
			t.Errorf("%s is logged", field)
		}
		name := field
		if strings.HasPrefix(field, "http.request.headers.") {
			name = "http.request.headers.*"
		}
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Logf("docs/personal-data.md does not say why %s is logged", field)
		}
	}
}

func readLog(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if !strings.HasSuffix(path, ".gz") {
		return io.ReadAll(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// eachDocument reads all that Elasticsearch holds but its own (names that begin
// with a dot: of accounts and keys it keeps hashes there).
func (s *stack) eachDocument(t *testing.T, each func(elastic.Hit)) {
	t.Helper()
	const keep = 2 * time.Minute
	pit, err := s.es.OpenPointInTime(t.Context(), "*", keep)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.es.ClosePointInTime(context.WithoutCancel(t.Context()), pit) }()
	body := elastic.Query{"size": 2000, "sort": []string{"_shard_doc"}}
	for {
		page, err := s.es.Page(t.Context(), elastic.PageRequest{PointInTime: pit, Keep: keep, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		pit = page.PointInTime
		for _, h := range page.Hits {
			each(h)
		}
		if len(page.Hits) == 0 {
			return
		}
		body["search_after"] = page.Hits[len(page.Hits)-1].Sort
	}
}

// needles are texts that are to be found, by their first bytes.
type needles struct {
	names  map[string]string // what each is
	starts map[[needleStart]byte][]string
	pairs  [1 << 16]bool // of the first two bytes
}

const needleStart = 8

func (n *needles) add(name, secret string) {
	if len(secret) < needleStart || n.names[secret] != "" {
		return
	}
	n.names[secret] = name
	start := [needleStart]byte([]byte(secret))
	n.starts[start] = append(n.starts[start], secret)
	n.pairs[int(secret[0])<<8|int(secret[1])] = true
}

// in returns what the text holds.
func (n *needles) in(text []byte) []string {
	var found []string
	for i := 0; i+needleStart <= len(text); i++ {
		if !n.pairs[int(text[i])<<8|int(text[i+1])] {
			continue
		}
		for _, secret := range n.starts[[needleStart]byte(text[i:])] {
			if name := n.names[secret]; bytes.HasPrefix(text[i:], []byte(secret)) && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found
}

var secretSetting = regexp.MustCompile(`^([A-Z0-9_]*(?:PASSWORD|_KEY|_KEYS|_TOKEN|_SECRETS|WEBHOOK_URL|WEBHOOK_URLS))=(.*)$`)

// secrets are what must be nowhere: .env's, what the tests' environment has
// instead, and what users sent and were given.
func (s *stack) secrets(t *testing.T) *needles {
	t.Helper()
	n := &needles{names: map[string]string{}, starts: map[[needleStart]byte][]string{}}
	text, err := os.ReadFile(filepath.Join(s.State, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	// People's and programs' names in Elasticsearch, as they sign in by HTTP.
	user := map[string]string{"ELASTIC_PASSWORD": "elastic", "MYSQL_PASSWORD": "pharos", "MONGODB_PASSWORD": "pharos", "KIBANA_PASSWORD": "kibana_system"}
	settings := 0
	for _, line := range append(strings.Split(string(text), "\n"), os.Environ()...) {
		m := secretSetting.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || m[2] == "" {
			continue
		}
		settings++
		name := m[1]
		for value := range strings.SplitSeq(m[2], ",") {
			if _, after, ok := strings.Cut(value, "="); ok { // an account's
				value = after
			}
			n.add(name, value)
			if strings.HasSuffix(name, "_PASSWORD") {
				who := user[name]
				if who == "" {
					who = strings.ToLower(strings.TrimSuffix(name, "_PASSWORD"))
				}
				n.add(name+" as "+who+" sends it", base64.StdEncoding.EncodeToString([]byte(who+":"+value)))
			}
		}
	}
	if settings < 25 {
		t.Errorf("only %d settings are secrets", settings)
	}
	n.add("the tests' users' password", password)
	given.mu.Lock()
	defer given.mu.Unlock()
	for i, secret := range given.secrets {
		n.add("a user's token or key, number "+strconv.Itoa(i+1), secret)
	}
	if len(given.secrets) == 0 {
		t.Error("nobody was given a token")
	}
	// Whoever's it is: what every JWT of ours begins with.
	n.add("a JSON Web Token", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"`))[:24])
	return n
}
