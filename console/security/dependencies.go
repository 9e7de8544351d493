package security

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pharos/console/series"
	"pharos/vulnscan"
)

// Dependencies are what the last scan of our modules found, whenever that was.
type Dependencies struct {
	At      time.Time `json:"at"`
	Scanner string    `json:"scanner,omitempty"`
	Version string    `json:"version"` // of Pharos
	// NotRun is why the last scan found nothing out; empty: it ran.
	NotRun   string    `json:"not_run,omitempty"`
	Findings []Finding `json:"findings"`
	// Query finds the log lines.
	Query string `json:"query"`
}

// Finding is one vulnerability of a module.
type Finding struct {
	ID        string         `json:"id"`
	Reference string         `json:"reference"`
	Reach     vulnscan.Reach `json:"reach"`
	Module    string         `json:"module"`
	Version   string         `json:"version"`
	Fixed     string         `json:"fixed,omitempty"`
	Summary   string         `json:"summary"`
}

// From and To are a time around the scan, whatever the page's is.
func (d *Dependencies) From() string { return d.At.Add(-time.Minute).UTC().Format(time.RFC3339) }

// To is the end of that time.
func (d *Dependencies) To() string { return d.At.Add(time.Minute).UTC().Format(time.RFC3339) }

// State is for "state".
func (d *Dependencies) State() map[string]any {
	called := 0
	for _, f := range d.Findings {
		if f.Reach == vulnscan.Called {
			called++
		}
	}
	switch {
	case d.NotRun != "":
		return map[string]any{"State": "unknown", "Word": "not run"}
	case called > 0:
		return map[string]any{"State": "bad", "Word": fmt.Sprintf("%d called", called)}
	case len(d.Findings) > 0:
		return map[string]any{"State": "warn", "Word": fmt.Sprintf("%d, none called", len(d.Findings))}
	}
	return map[string]any{"State": "ok", "Word": "none known"}
}

// State is for "state".
func (f Finding) State() map[string]any {
	state := map[vulnscan.Reach]string{vulnscan.Called: "bad", vulnscan.Imported: "warn"}[f.Reach]
	words := map[vulnscan.Reach]string{vulnscan.Called: "calls it", vulnscan.Imported: "imports the package"}[f.Reach]
	if words == "" {
		state, words = "unknown", "requires the module"
	}
	return map[string]any{"State": state, "Word": words}
}

// scanned is the part of vulnscan's documents that is read.
type scanned struct {
	At      time.Time `json:"@timestamp"`
	Service struct{ Version string }
	Event   struct{ Outcome string }
	Error   struct{ Message string }
	Package struct{ Name, Version string }
	Labels  struct {
		Fixed string `json:"fixed_version"`
	}
	Observer      struct{ Name string }
	Vulnerability struct {
		ID          []string
		Category    []string
		Description string
		Reference   string
		Report      string `json:"report_id"`
	}
}

// mostFindings is how many are listed.
const mostFindings = 200

func (q queries) dependencies(ctx context.Context) (*Dependencies, error) {
	last, err := q.scanned(ctx, 1, series.Object{"event.action": vulnscan.ActionScan})
	if err != nil || len(last) == 0 {
		return nil, err
	}
	d := &Dependencies{
		At: last[0].At, Scanner: last[0].Observer.Name, Version: last[0].Service.Version,
		Query: fmt.Sprintf("vulnerability.report_id:%q", last[0].Vulnerability.Report),
	}
	if last[0].Event.Outcome != "success" {
		d.NotRun = last[0].Error.Message
		return d, nil
	}
	found, err := q.scanned(ctx, mostFindings, series.Object{"event.action": vulnscan.ActionFinding}, series.Object{"vulnerability.report_id": last[0].Vulnerability.Report})
	if err != nil {
		return nil, err
	}
	for _, reach := range []vulnscan.Reach{vulnscan.Called, vulnscan.Imported, vulnscan.Required} {
		for _, s := range found {
			if f := s.finding(); f.Reach == reach {
				d.Findings = append(d.Findings, f)
			}
		}
	}
	return d, nil
}

func (q queries) scanned(ctx context.Context, size int, terms ...series.Object) ([]scanned, error) {
	var filter []series.Object
	for _, t := range terms {
		filter = append(filter, series.Object{"term": t})
	}
	res, err := q.es.Search(ctx, vulnscan.Stream, series.Object{
		"size": size, "query": series.Object{"bool": series.Object{"filter": filter}},
		"sort": []series.Object{{"@timestamp": series.Object{"order": "desc", "unmapped_type": "date"}}, {"vulnerability.id": series.Object{"order": "asc", "unmapped_type": "keyword"}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read scans of dependencies: %w", err)
	}
	var all []scanned
	for _, h := range res.Hits {
		var s scanned
		// Whoever may write to this stream may write anything there.
		if json.Unmarshal(h.Source, &s) == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

func (s scanned) finding() Finding {
	f := Finding{
		Reach: vulnscan.Required, Module: s.Package.Name, Version: s.Package.Version, Fixed: s.Labels.Fixed, Summary: s.Vulnerability.Description,
		ID: strings.Join(s.Vulnerability.ID, ", "),
	}
	if strings.HasPrefix(s.Vulnerability.Reference, "https://") {
		f.Reference = s.Vulnerability.Reference
	}
	if len(s.Vulnerability.Category) > 0 && (s.Vulnerability.Category[0] == string(vulnscan.Called) || s.Vulnerability.Category[0] == string(vulnscan.Imported)) {
		f.Reach = vulnscan.Reach(s.Vulnerability.Category[0])
	}
	return f
}
