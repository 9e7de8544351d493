package obs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"pharos/internal/obs"
)

func lines(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// TestLinesReachTheFile: trouble at once with what was said before it, the rest
// soon, and everything by the end.
func TestLinesReachTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	tel, err := obs.New("test", "1", obs.Config{NodeName: "n", LogLevel: zapcore.InfoLevel, LogFile: file, LogMaxSizeMB: 1, LogKeep: 1})
	if err != nil {
		t.Fatal(err)
	}
	tel.Log.Info("one")
	tel.Log.Debug("none")
	tel.Log.Warn("two")
	if n := lines(t, file); n != 2 {
		t.Errorf("%d lines after a warning, want 2", n)
	}
	tel.Log.Info("three")
	for deadline := time.Now().Add(10 * time.Second); lines(t, file) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lines, want 3", lines(t, file))
		}
	}
	tel.Log.Info("four")
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := lines(t, file); n != 4 {
		t.Errorf("%d lines after the end, want 4", n)
	}
}
