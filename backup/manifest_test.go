package backup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// makeOne makes a backup of two files.
func makeOne(t *testing.T, root string, at time.Time) Manifest {
	t.Helper()
	name := NameAt(at)
	folder, err := Begin(root, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "mongodb"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"mysql.sql.gz": "rows", "mongodb/users.bson.gz": "users"} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := End(root, Manifest{Name: name, MadeAt: at, MongoDB: MongoDB{Collections: map[string]int64{"users": 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestABackupIsWhatItWas(t *testing.T) {
	root := t.TempDir()
	if _, err := Read(root, ""); !errors.Is(err, ErrNone) {
		t.Errorf("no backup: %v", err)
	}
	if all, err := List(filepath.Join(root, "not there")); err != nil || len(all) != 0 {
		t.Errorf("no folder: %v %v", all, err)
	}
	old := makeOne(t, root, noon)
	latest := makeOne(t, root, noon.Add(time.Hour))
	if _, err := Begin(root, NameAt(noon.Add(2*time.Hour))); err != nil { // cut short
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "elasticsearch"), 0o700); err != nil {
		t.Fatal(err)
	}
	all, err := List(root)
	if d := cmp.Diff([]Manifest{latest, old}, all); err != nil || d != "" {
		t.Fatalf("%v %s", err, d)
	}
	if got, err := Read(root, ""); err != nil || got.Name != latest.Name {
		t.Errorf("the latest is %s, %v", got.Name, err)
	}
	if got, err := Read(root, old.Name); err != nil || got.Name != old.Name || got.Check(root) != nil || got.Bytes() != 9 || len(got.Files) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"..", "../x", "elasticsearch", NameAt(noon.Add(2 * time.Hour)), "2026"} {
		if _, err := Read(root, name); err == nil {
			t.Errorf("%q is a backup", name)
		}
		if err := Remove(root, strings.TrimSuffix(name, "z")); err == nil {
			t.Errorf("%q is removed", name)
		}
	}
	if got := Beyond(all, 1); len(got) != 1 || got[0].Name != old.Name || Beyond(all, 2) != nil {
		t.Errorf("beyond the latest: %v", got)
	}
	if err := Remove(root, old.Name); err != nil {
		t.Fatal(err)
	}
	if all, err := List(root); err != nil || len(all) != 1 {
		t.Errorf("%v %v", all, err)
	}
}

func TestWhatHasChangedIsSeen(t *testing.T) {
	root := t.TempDir()
	m := makeOne(t, root, noon)
	users, rows := filepath.Join(root, m.Name, "mongodb", "users.bson.gz"), filepath.Join(root, m.Name, "mysql.sql.gz")
	if err := os.WriteFile(users, []byte("usurs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(rows); err != nil {
		t.Fatal(err)
	}
	err := m.Check(root)
	if err == nil || !strings.Contains(err.Error(), "mongodb/users.bson.gz: has changed") || !strings.Contains(err.Error(), "mysql.sql.gz") {
		t.Errorf("got %v", err)
	}
	m.Files = []File{{Path: "../../etc/passwd"}}
	if err := m.Check(root); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("got %v", err)
	}
	// A manifest of another backup, under this one's name.
	if err := os.Rename(filepath.Join(root, m.Name), filepath.Join(root, NameAt(noon.Add(time.Hour)))); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(root, ""); err == nil {
		t.Error("another's manifest is taken")
	}
}

func TestNewer(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"8.19.13", "8.19.2", false}, {"8.19.13", "8.18.0", true}, {"9.0.0", "8.19.13", true}, {"8.19.0", "8.19.0", false},
		{"7.17.28", "8.0.0", false}, {"10.11.14-MariaDB-0+deb12u2", "10.6.1-MariaDB", true}, {"10.11.14-MariaDB", "11.4.2-MariaDB", false},
		{"6.0.5", "8.0.20", false}, {"8.0.20", "6.0.5", true},
	} {
		if got := Newer(tt.a, tt.b); got != tt.want {
			t.Errorf("%s newer than %s: %t", tt.a, tt.b, got)
		}
	}
}
