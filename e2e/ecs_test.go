package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ecsRules are those of the ECS logging specification that a line can be held
// against (github.com/elastic/ecs-logging, spec/spec.json): what must be there,
// at the top level with dots in the name, and of which type.
var ecsRules = struct {
	required, topLevel []string
	types              map[string]string
}{
	required: []string{"@timestamp", "log.level", "ecs.version", "message"},
	topLevel: []string{"log.level", "ecs.version"},
	types: map[string]string{
		"@timestamp": "datetime", "log.level": "string", "message": "string", "ecs.version": "string",
		"labels": "object", "trace.id": "string", "transaction.id": "string", "service.name": "string",
		"service.node.name": "string", "service.version": "string", "service.environment": "string",
		"event.dataset": "string", "process.thread.name": "string", "log.logger": "string",
		"log.origin.file.line": "integer", "log.origin.file.name": "string", "log.origin.function": "string",
		"error.type": "string", "error.message": "string", "error.stack_trace": "string",
	},
}

// identity is what every line of ours carries beside that.
var identity = []string{"service.name", "service.version", "service.environment", "service.node.name", "cloud.region", "event.dataset"}

// TestEveryLogLineIsECS reads every line that the Go processes have logged so
// far, in all the tests before this one and since the start.
func TestEveryLogLineIsECS(t *testing.T) {
	s := open(t)
	newClient(s).want(t, 200, "GET", "/tasks/factorial?n=2", "")
	names, err := filepath.Glob(filepath.Join(s.State, "logs", "pharos", "*.log"))
	if err != nil || len(names) < 5 {
		t.Fatalf("want the logs of five processes, got %v %v", names, err)
	}
	lines := 0
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		for n := 1; sc.Scan(); n++ {
			lines++
			for _, fault := range checkECS(sc.Bytes()) {
				t.Errorf("%s:%d: %s: %s", filepath.Base(name), n, fault, sc.Text())
			}
			if t.Failed() {
				break
			}
		}
		if err := sc.Err(); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	}
	t.Logf("%d lines of %d logs", lines, len(names))
}

func checkECS(line []byte) []string {
	var doc map[string]any
	if err := json.Unmarshal(line, &doc); err != nil {
		return []string{err.Error()}
	}
	var faults []string
	for _, name := range append(append([]string{}, ecsRules.required...), identity...) {
		if v, ok := lookup(doc, name); !ok || v == "" {
			faults = append(faults, name+" is missing")
		}
	}
	for _, name := range ecsRules.topLevel {
		if _, ok := doc[name]; !ok {
			faults = append(faults, name+" is not at the top level")
		}
	}
	for name, kind := range ecsRules.types {
		if v, ok := lookup(doc, name); ok && !isType(v, kind) {
			faults = append(faults, name+" is no "+kind)
		}
	}
	return faults
}

func isType(v any, kind string) bool {
	switch kind {
	case "string":
		_, ok := v.(string)
		return ok
	case "integer":
		f, ok := v.(float64)
		return ok && f == float64(int64(f))
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "datetime":
		s, _ := v.(string)
		_, err := time.Parse("2006-01-02T15:04:05.000Z0700", s)
		return err == nil || strings.HasSuffix(s, "Z")
	}
	return false
}

// TestECSRulesAreTheSpecifications compares the rules above with the
// specification itself, where it is at hand.
func TestECSRulesAreTheSpecifications(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "ecs-logging-spec.json"))
	if err != nil {
		t.Skipf("SKIPPED: the specification is not at hand: %v", err)
	}
	var spec struct {
		Fields map[string]struct {
			Type     string
			Required bool
			TopLevel bool `json:"top_level_field"`
		}
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatal(err)
	}
	for name, f := range spec.Fields {
		if ecsRules.types[name] != f.Type {
			t.Errorf("%s is of type %q here, %q there", name, ecsRules.types[name], f.Type)
		}
		if f.Required && !slices.Contains(ecsRules.required, name) {
			t.Errorf("%s is not required here", name)
		}
		if f.TopLevel && !slices.Contains(ecsRules.topLevel, name) {
			t.Errorf("%s is not held to the top level here", name)
		}
	}
}
