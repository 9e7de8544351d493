package sqlbackup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pharos/backup/sqlbackup"
	"pharos/internal/mysqlconn"
	"pharos/internal/teststack"
)

// TestDumpAndLoad dumps a table of its own, loses it, and brings it back.
func TestDumpAndLoad(t *testing.T) {
	cfg := teststack.Config[sqlbackup.Config](t)
	db, err := mysqlconn.Open(mysqlconn.Config{Addr: cfg.Addr, User: cfg.User, Database: cfg.Database, Password: cfg.Password, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	table := "test_backup_" + strings.ToLower(rand.Text()[:8])
	exec := func(ctx context.Context, statement string, values ...any) {
		t.Helper()
		if _, err := db.ExecContext(ctx, statement, values...); err != nil {
			t.Fatal(err)
		}
	}
	exec(t.Context(), "CREATE TABLE "+table+" (id INT PRIMARY KEY, name VARCHAR(100) CHARACTER SET utf8mb4, raw VARBINARY(16))")
	t.Cleanup(func() { exec(context.WithoutCancel(t.Context()), "DROP TABLE IF EXISTS "+table) })
	raw := []byte{0, 1, '\'', 0xff, '\n'}
	for i := range 50 {
		exec(t.Context(), "INSERT INTO "+table+" VALUES (?, ?, ?)", i, fmt.Sprintf("Ada 🚀 'quoted' %d", i), raw)
	}
	path := filepath.Join(t.TempDir(), "dump.sql.gz")
	if err := cfg.Dump(t.Context(), path, table); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Dump(t.Context(), path, table); err == nil {
		t.Error("an older dump was replaced")
	}
	if text := unzipped(t, path); strings.Contains(text, cfg.Password.Reveal()) || !strings.Contains(text, "Dump completed") {
		t.Errorf("%d bytes are no whole dump, or show the password", len(text))
	}
	exec(t.Context(), "DROP TABLE "+table)
	if err := cfg.Load(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	rows, err := cfg.Tables(t.Context())
	if err != nil || rows[table] != 50 {
		t.Errorf("%v, %v", rows, err)
	}
	var name string
	var got []byte
	if err := db.QueryRowContext(t.Context(), "SELECT name, raw FROM "+table+" WHERE id = 7").Scan(&name, &got); err != nil || name != "Ada 🚀 'quoted' 7" || !bytes.Equal(got, raw) {
		t.Errorf("%q %q %v", name, got, err)
	}
	if v, err := cfg.Version(t.Context()); err != nil || !strings.Contains(v, ".") {
		t.Errorf("version %q, %v", v, err)
	}

	wrong := cfg
	wrong.Password = "not-the-password"
	if _, err := wrong.Version(t.Context()); err == nil || strings.Contains(err.Error(), "not-the-password") || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("a wrong password: %v", err)
	}
}

func unzipped(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(zip); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
