// Package sqlbackup dumps a MySQL or MariaDB database with the server's own
// program and loads it again. The password goes through a pipe, never through
// arguments or the environment.
package sqlbackup

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"pharos/internal/env"
)

// Config are the settings: the account of the services, which owns the data.
type Config struct {
	Addr     string     `env:"MYSQL_ADDR,required,notEmpty"`
	User     string     `env:"MYSQL_USER,required,notEmpty"`
	Database string     `env:"MYSQL_DATABASE,required,notEmpty"`
	Password env.Secret `env:"MYSQL_PASSWORD,required,notEmpty"`
}

// program runs the first of the names that is installed, signed in, with the
// arguments after those.
func (c Config) program(ctx context.Context, names []string, in io.Reader, out io.Writer, args ...string) error {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("MYSQL_ADDR: %w", err)
	}
	var path string
	for _, name := range names {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("none of %s is installed (Debian: mariadb-client)", strings.Join(names, ", "))
	}
	login, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = login.Close() }()
	// Far less than a pipe holds: nobody need read yet.
	_, werr := fmt.Fprintf(write, "[client]\nuser=%q\npassword=%q\n", c.User, c.Password.Reveal())
	if err := errors.Join(werr, write.Close()); err != nil {
		return fmt.Errorf("hand the password over: %w", err)
	}
	var said bytes.Buffer
	// The first file beyond the three usual ones is number 3 to the program.
	args = append([]string{"--defaults-file=/dev/fd/3", "--protocol=tcp", "--host=" + host, "--port=" + port, "--default-character-set=utf8mb4"}, args...)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = in, out, &said, []*os.File{login}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", names[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// ask runs statements and returns the answer, a line a row, tabs between.
func (c Config) ask(ctx context.Context, statements string) (string, error) {
	var out bytes.Buffer
	err := c.program(ctx, []string{"mariadb", "mysql"}, strings.NewReader(statements), &out, "--batch", "--skip-column-names", c.Database)
	return strings.TrimSpace(out.String()), err
}

// Version is the server's.
func (c Config) Version(ctx context.Context) (string, error) {
	v, err := c.ask(ctx, "SELECT VERSION();")
	if err != nil {
		return "", fmt.Errorf("read MySQL's version: %w", err)
	}
	return v, nil
}

// Tables counts the rows of each table that has any, but for what the migrations
// note of themselves.
func (c Config) Tables(ctx context.Context) (map[string]int64, error) {
	list, err := c.ask(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE';")
	if err != nil {
		return nil, fmt.Errorf("list MySQL's tables: %w", err)
	}
	rows := map[string]int64{}
	for name := range strings.FieldsSeq(list) {
		if strings.HasPrefix(name, "goose") {
			continue
		}
		text, err := c.ask(ctx, "SELECT COUNT(*) FROM `"+strings.ReplaceAll(name, "`", "``")+"`;")
		if err != nil {
			return nil, fmt.Errorf("count MySQL's table %s: %w", name, err)
		}
		var n int64
		if _, err := fmt.Sscan(text, &n); err != nil {
			return nil, fmt.Errorf("count MySQL's table %s: %w", name, err)
		}
		if n > 0 {
			rows[name] = n
		}
	}
	return rows, nil
}

// Dump writes the whole database, as of one moment, into a compressed file; with
// tables only those.
func (c Config) Dump(ctx context.Context, path string, tables ...string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("dump MySQL: %w", err)
	}
	zip := gzip.NewWriter(f)
	// single-transaction: one moment, and nobody waits. The others: that
	// would need rights that the account lacks, here or when it is loaded.
	args := append([]string{"--single-transaction", "--quick", "--no-tablespaces", "--skip-add-locks", "--hex-blob", "--skip-dump-date", c.Database}, tables...)
	err = c.program(ctx, []string{"mariadb-dump", "mysqldump"}, nil, zip, args...)
	if err := errors.Join(err, zip.Close(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("dump MySQL: %w", err)
	}
	return nil
}

// Load runs a dump, which replaces the tables that it has.
func (c Config) Load(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load MySQL: %w", err)
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("load MySQL: %w", err)
	}
	if err := c.program(ctx, []string{"mariadb", "mysql"}, zip, io.Discard, c.Database); err != nil {
		return fmt.Errorf("load MySQL: %w", err)
	}
	return nil
}
