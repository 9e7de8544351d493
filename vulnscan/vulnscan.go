// Package vulnscan reads what govulncheck found in the modules that our programs
// are built from, and writes it as ECS documents, for the console to show.
package vulnscan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Reach is how near a vulnerability comes to our programs.
type Reach string

// From the nearest on: our code calls what is vulnerable, imports its package, or
// only requires its module.
const (
	Called   Reach = "called"
	Imported Reach = "imported"
	Required Reach = "required"
)

// Finding is one vulnerability of one module.
type Finding struct {
	ID      string   `json:"id"`                // of the Go vulnerability database, as GO-2024-2687
	Aliases []string `json:"aliases,omitempty"` // CVE and GHSA numbers
	Summary string   `json:"summary"`
	Module  string   `json:"module"` // stdlib for Go's own
	Version string   `json:"version"`
	Fixed   string   `json:"fixed,omitempty"` // the first version without it; empty: there is none
	Reach   Reach    `json:"reach"`
	// Symbol is what our code calls, or the package that it imports.
	Symbol string `json:"symbol,omitempty"`
}

// Scan is one run of govulncheck.
type Scan struct {
	Scanner  string    `json:"scanner"` // with its version
	Database string    `json:"database"`
	Modified time.Time `json:"modified,omitzero"` // of the database
	Go       string    `json:"go"`
	Findings []Finding `json:"findings"` // the nearest first
}

// Reached counts the findings that our code calls.
func (s Scan) Reached() int {
	n := 0
	for _, f := range s.Findings {
		if f.Reach == Called {
			n++
		}
	}
	return n
}

// message is what govulncheck -format json writes, one after the other.
// https://pkg.go.dev/golang.org/x/vuln/internal/govulncheck#Message
type message struct {
	Config *struct {
		Scanner  string    `json:"scanner_name"`
		Version  string    `json:"scanner_version"`
		Database string    `json:"db"`
		Modified time.Time `json:"db_last_modified"`
		Go       string    `json:"go_version"`
	} `json:"config"`
	OSV *struct {
		ID      string   `json:"id"`
		Aliases []string `json:"aliases"`
		Summary string   `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		// The first frame is what is vulnerable, known as far as it was searched.
		Trace []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Package  string `json:"package"`
			Function string `json:"function"`
			Receiver string `json:"receiver"`
		} `json:"trace"`
	} `json:"finding"`
}

// Read reads all of a report. One that does not begin as a report does, or that
// is cut off, is an error: no findings must not be read out of half a report.
func Read(r io.Reader) (Scan, error) {
	var s Scan
	known := map[string]Finding{} // by vulnerability and module: the nearest
	about := map[string]Finding{} // what the database says
	d := json.NewDecoder(r)
	for {
		var m message
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Scan{}, fmt.Errorf("read report of govulncheck: %w", err)
		}
		switch {
		case m.Config != nil:
			c := m.Config
			s.Scanner, s.Database, s.Modified, s.Go = strings.TrimSpace(c.Scanner+" "+c.Version), c.Database, c.Modified, c.Go
		case m.OSV != nil:
			about[m.OSV.ID] = Finding{Aliases: m.OSV.Aliases, Summary: m.OSV.Summary}
		case m.Finding != nil && len(m.Finding.Trace) > 0:
			at := m.Finding.Trace[0]
			f := Finding{ID: m.Finding.OSV, Module: at.Module, Version: at.Version, Fixed: m.Finding.Fixed, Reach: Required}
			if at.Package != "" {
				f.Reach, f.Symbol = Imported, at.Package
			}
			if at.Function != "" {
				f.Reach, f.Symbol = Called, at.Package+"."+strings.TrimPrefix(at.Receiver+"."+at.Function, ".")
			}
			key := f.ID + " " + f.Module
			if before, ok := known[key]; !ok || nearness(f.Reach) < nearness(before.Reach) {
				known[key] = f
			}
		}
	}
	if s.Scanner == "" {
		return Scan{}, errors.New("read report of govulncheck: it does not say what wrote it")
	}
	for _, f := range known {
		f.Aliases, f.Summary = about[f.ID].Aliases, about[f.ID].Summary
		s.Findings = append(s.Findings, f)
	}
	slices.SortFunc(s.Findings, func(a, b Finding) int {
		return cmp.Or(nearness(a.Reach)-nearness(b.Reach), strings.Compare(a.ID, b.ID), strings.Compare(a.Module, b.Module))
	})
	return s, nil
}

func nearness(r Reach) int { return slices.Index([]Reach{Called, Imported, Required}, r) }
