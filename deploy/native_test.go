package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	processName = regexp.MustCompile(`(?m)^  ([a-z][a-z0-9-]*):`)
	instance    = regexp.MustCompile(`-\d+$`)
	variable    = regexp.MustCompile(`"([A-Z][A-Z0-9_]*)=`)
)

// natives reads dev/process-compose.yaml: the names of its processes, and of
// the variables that each gets by name.
func natives(t *testing.T) map[string][]string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "dev/process-compose.yaml"), "\nprocesses:\n")
	if !found {
		t.Fatal("no processes in dev/process-compose.yaml")
	}
	at := processName.FindAllStringSubmatchIndex(text, -1)
	processes := map[string][]string{}
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := text[m[2]:m[3]]
		processes[name] = nil
		for _, v := range variable.FindAllStringSubmatch(text[m[0]:end], -1) {
			processes[name] = append(processes[name], v[1])
		}
	}
	return processes
}

// The two ways to run have the same parts under the same names; where one has
// another part, it stands here with the reason.
func TestSameProcessesAsTheNativeRun(t *testing.T) {
	t.Parallel()
	services := everything(t)
	onlyNative := map[string]string{
		"nginx-rotate": "runs in nginx's container",
	}
	onlyDocker := map[string]string{
		"apm-server":         "natively intake takes what agents send, too",
		"kibana":             "cannot be had natively",
		"setup-certificates": "natively nginx's start makes its own, and Elasticsearch is on loopback",
		"setup-kibana":       "has no Kibana natively",
	}
	native := map[string]bool{}
	replicas := map[string]int{}
	for name := range natives(t) {
		service := instance.ReplaceAllString(name, "")
		native[service] = true
		replicas[service]++
		if _, ok := services[service]; !ok && onlyNative[name] == "" {
			t.Errorf("%s runs natively, not in Docker", name)
		}
	}
	for name, s := range services {
		if !native[name] && onlyDocker[name] == "" {
			t.Errorf("%s runs in Docker, not natively", name)
		}
		if s.Deploy != nil && s.Deploy.Replicas != replicas[name] {
			t.Errorf("%d of %s in Docker, %d natively", s.Deploy.Replicas, name, replicas[name])
		}
	}
}

func TestSameVariablesAsTheNativeRun(t *testing.T) {
	t.Parallel()
	services := everything(t)
	// The official images have names of their own for these.
	images := []string{"elasticsearch", "redis", "mysql", "mongodb", "kafka"}
	otherwise := map[string][]string{
		"filebeat": {"KAFKA_PASSWORD"},           // it writes to Elasticsearch by itself
		"intake":   {"ELASTIC_APM_SECRET_TOKEN"}, // an intake does not trace itself
	}
	checked := 0
	for name, variables := range natives(t) {
		service := instance.ReplaceAllString(name, "")
		s, ok := services[service]
		if !ok || slices.Contains(images, service) {
			continue
		}
		for _, v := range variables {
			checked++
			if _, ok := s.Environment[v]; !ok && !slices.Contains(otherwise[service], v) {
				t.Errorf("%s gets %s natively, not in Docker", name, v)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d variables in dev/process-compose.yaml", checked)
	}
}
