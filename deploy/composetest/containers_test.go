package composetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestServicesAreHealthy waits for the slowest health check, and sees that what
// sets up has ended well.
func TestServicesAreHealthy(t *testing.T) {
	s := open(t)
	eventually(t, 5*time.Minute, "every service", func() string {
		var waiting []string
		for _, c := range s.containers(t) {
			done := strings.HasPrefix(c.Service, "setup-")
			if done && (c.State != "exited" || c.Exit != 0) || !done && (c.State != "running" || c.Health != "healthy") {
				waiting = append(waiting, fmt.Sprintf("%s %s %s (%d)", c.Name, c.State, c.Health, c.Exit))
			}
		}
		return strings.Join(waiting, ", ")
	})
	for _, c := range s.containers(t) {
		if n := strings.TrimSpace(docker(t, "inspect", "-f", "{{.RestartCount}} {{.State.OOMKilled}}", c.ID)); n != "0 false" {
			t.Errorf("%s: started again, killed for its memory: %s", c.Name, n)
		}
	}
}

// TestContainersAreConfined reads from Docker what each may do.
func TestContainersAreConfined(t *testing.T) {
	s := open(t)
	// The reasons stand in docker-compose.yml and docs/docker.md.
	root := []string{"nginx", "filebeat"}
	writable := []string{"elasticsearch"}
	capabilities := map[string][]string{
		"nginx": {"CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"}, "filebeat": {"DAC_READ_SEARCH"}, "heartbeat": {"NET_RAW"},
	}
	for _, c := range s.containers(t) {
		var inspected []struct {
			Config     struct{ User string }
			HostConfig struct {
				ReadonlyRootfs, Privileged, PublishAllPorts bool
				CapAdd, CapDrop, SecurityOpt                []string
				Memory, NanoCpus, PidsLimit                 int64
				RestartPolicy                               struct{ Name string }
			}
		}
		if err := json.Unmarshal([]byte(docker(t, "inspect", c.ID)), &inspected); err != nil {
			t.Fatal(err)
		}
		host, user := inspected[0].HostConfig, inspected[0].Config.User
		if (user == "" || user == "root" || strings.HasPrefix(user, "0")) != slices.Contains(root, c.Service) {
			t.Errorf("%s runs as %q", c.Name, user)
		}
		if host.ReadonlyRootfs == slices.Contains(writable, c.Service) {
			t.Errorf("%s: read-only root file system %t", c.Name, host.ReadonlyRootfs)
		}
		added := slices.Clone(host.CapAdd)
		for i, name := range added {
			added[i] = strings.TrimPrefix(name, "CAP_")
		}
		slices.Sort(added)
		if host.Privileged || !slices.Equal(host.CapDrop, []string{"ALL"}) || !slices.Equal(added, capabilities[c.Service]) || !slices.Contains(host.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it needs: %+v", c.Name, host)
		}
		if host.Memory <= 0 || host.NanoCpus <= 0 || host.PidsLimit <= 0 {
			t.Errorf("%s has no limit of memory, processors or processes: %+v", c.Name, host)
		}
		if c.State != "running" {
			continue
		}
		// What runs, not what the image says.
		for process := range strings.Lines(docker(t, "top", c.ID, "-eo", "pid,uid,args")) {
			if f := strings.Fields(process); len(f) > 1 && f[1] == "0" && !slices.Contains(root, c.Service) {
				t.Errorf("%s has a process of root's: %s", c.Name, process)
			}
		}
	}
}

// TestGoImagesAreSmall holds what the Dockerfile makes against its promise.
func TestGoImagesAreSmall(t *testing.T) {
	s := open(t)
	const limit = 40e6
	seen := 0
	for _, c := range s.containers(t) {
		image := strings.TrimSpace(docker(t, "inspect", "-f", "{{.Image}}", c.ID))
		var inspected []struct {
			Size   int64
			Config struct {
				User   string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal([]byte(docker(t, "image", "inspect", image)), &inspected); err != nil {
			t.Fatal(err)
		}
		if what := inspected[0].Config.Labels["pharos.standin"]; what != "" {
			t.Logf("%-28s STAND-IN: %s", c.Name, what)
			continue
		}
		seen++
		t.Logf("%-28s %.1f MB, user %s", c.Name, float64(inspected[0].Size)/1e6, inspected[0].Config.User)
		if inspected[0].Size >= limit || inspected[0].Config.User != "65532:65532" {
			t.Errorf("%s: %d bytes, user %q", c.Name, inspected[0].Size, inspected[0].Config.User)
		}
	}
	if seen < 9 {
		t.Errorf("only %d images are ours", seen)
	}
}
