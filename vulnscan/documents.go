package vulnscan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Stream is where the documents go.
const Stream = "logs-external-default"

// The actions of the documents: one a scan, and one a finding.
const (
	ActionScan    = "dependency-scan"
	ActionFinding = "dependency-vulnerability"
)

// Run says which scan a document is of, and whose.
type Run struct {
	ID          string // of its own
	At          time.Time
	Version     string // of Pharos
	Environment string
}

// Documents are a scan and its findings in ECS. (ECS has no field for the version
// that mends a package: it is in labels.)
// https://www.elastic.co/docs/reference/ecs/ecs-vulnerability
func Documents(r Run, s Scan) []map[string]any {
	scan := r.document(ActionScan, "success", fmt.Sprintf("Dependencies were searched for known vulnerabilities: %d found, %d of them called", len(s.Findings), s.Reached()))
	scan["observer"] = map[string]any{"name": s.Scanner}
	labels := map[string]any{"database": s.Database, "go": s.Go, "found": len(s.Findings), "called": s.Reached()}
	if !s.Modified.IsZero() {
		labels["database_modified"] = s.Modified.UTC().Format(time.RFC3339)
	}
	scan["labels"] = labels
	all := []map[string]any{scan}
	for _, f := range s.Findings {
		d := r.document(ActionFinding, "success", fmt.Sprintf("%s in %s %s (%s): %s", f.ID, f.Module, f.Version, f.Reach, f.Summary))
		d["vulnerability"] = map[string]any{
			"id": append([]string{f.ID}, cves(f.Aliases)...), "category": []string{string(f.Reach)}, "classification": "Go", "description": f.Summary,
			"reference": "https://pkg.go.dev/vuln/" + f.ID, "report_id": r.ID, "scanner": map[string]any{"vendor": "Go"},
		}
		d["package"] = map[string]any{"name": f.Module, "version": f.Version, "type": "go"}
		d["labels"] = map[string]any{"fixed_version": f.Fixed, "symbol": f.Symbol}
		all = append(all, d)
	}
	return all
}

func cves(aliases []string) []string {
	return slices.DeleteFunc(slices.Clone(aliases), func(a string) bool { return !strings.HasPrefix(a, "CVE-") })
}

// NotRun is the document of a scan that could not be made, for this reason: it
// must not look like one that found nothing.
func NotRun(r Run, reason string) map[string]any {
	d := r.document(ActionScan, "failure", "Dependencies were NOT searched for known vulnerabilities: "+reason)
	d["error"] = map[string]any{"message": reason}
	return d
}

func (r Run) document(action, outcome, message string) map[string]any {
	return map[string]any{
		"@timestamp": r.At.UTC().Format("2006-01-02T15:04:05.000Z"), "message": message,
		"ecs":         map[string]any{"version": "8.11.0"},
		"log":         map[string]any{"level": map[string]string{"success": "info", "failure": "warn"}[outcome]},
		"service":     map[string]any{"name": "pharos", "version": r.Version, "environment": r.Environment},
		"data_stream": map[string]any{"type": "logs", "dataset": "external", "namespace": "default"},
		"event": map[string]any{
			"action": action, "outcome": outcome, "kind": "event", "category": []string{"vulnerability"}, "type": []string{"info"}, "dataset": "pharos.vulnerabilities",
		},
		"vulnerability": map[string]any{"report_id": r.ID},
	}
}
