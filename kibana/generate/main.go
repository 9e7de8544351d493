// Command generate writes what Kibana imports into objects/ and rules/ beside it,
// from package kibana, and removes what is there no more: go run ./kibana/generate
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"pharos/kibana"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	objects, err := kibana.Objects(kibana.Price{})
	if err != nil {
		return err
	}
	rules, err := kibana.RuleFiles()
	if err != nil {
		return err
	}
	for dir, files := range map[string][]kibana.File{"objects": objects, "rules": rules} {
		if err := write(filepath.Join("kibana", dir), files); err != nil {
			return err
		}
	}
	return nil
}

func write(dir string, files []kibana.File) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return nil
}
