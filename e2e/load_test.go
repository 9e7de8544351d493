package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/load"
)

// TestPharosLoad runs the operator's command twice: its users are signed up
// once, and every request gets the status that it must get.
func TestPharosLoad(t *testing.T) {
	s := open(t)
	run := func(args ...string) (load.Report, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(s.State, "bin", "pharos"), append([]string{"load", "--json", "--users=6"}, args...)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		var report load.Report
		if err == nil {
			err = json.Unmarshal(out, &report)
		}
		return report, said.String(), err
	}
	for range 2 {
		report, said, err := run("--rate=40", "--duration=5s")
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if got := report.Total; got.Sent < 100 || got.OK != got.Sent || got.Dropped != 0 || len(report.Rows) != len(load.Kinds()) {
			t.Errorf("%+v", report)
		}
	}
	_, said, err := run("--url=http://127.0.0.1:1")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said, load.ErrUnreachable.Error()) {
		t.Errorf("nothing to reach: %v %s", err, said)
	}
	if _, said, err = run("--mix=tea=1"); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("a wrong flag: %v %s", err, said)
	}
}

// traffic is a client of the load whose users are ready to ask at the URL.
func traffic(t *testing.T, url string, users int) *load.Client {
	t.Helper()
	c, err := load.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Prepare(t.Context(), users, os.Getenv("DEMO_PASSWORD")); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *stack) url() string { return fmt.Sprintf("http://127.0.0.1:%d", s.NginxPort) }
