package alertstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/esdoc"
	"pharos/watcher/outbox"
)

const defaultLimit = 1000

// kind tells an alert from a service's latest page in their common index.
type kind struct {
	Kind string `json:"kind"`
}

// Alert reads an alert; fault.NotFound.
func (s *Store) Alert(ctx context.Context, id string) (alerting.Stored, error) {
	var found struct {
		kind
		alert.Alert
	}
	revision, err := s.get(ctx, alertsIndex, id, &found)
	if err != nil {
		return alerting.Stored{}, err
	}
	if found.Kind != "alert" {
		return alerting.Stored{}, fault.New(fault.NotFound, "There is no such alert.")
	}
	return alerting.Stored{Alert: found.Alert, Revision: revision}, nil
}

// SaveAlert writes an alert.
func (s *Store) SaveAlert(ctx context.Context, a alerting.Stored) (outbox.Revision, error) {
	return s.put(ctx, alertsIndex, a.ID, struct {
		kind
		alert.Alert
	}{kind{"alert"}, a.Alert}, a.Revision)
}

// Alerts returns the alerts of a filter, the latest first.
func (s *Store) Alerts(ctx context.Context, f alerting.Filter) ([]alerting.Stored, error) {
	conditions := []map[string]any{esdoc.Term("kind", "alert")}
	for field, value := range map[string]string{
		"watch_id": f.WatchID, "page": f.Page, "routes.key": f.Key, "service": f.Service, "state": string(f.State),
	} {
		if value != "" {
			conditions = append(conditions, esdoc.Term(field, value))
		}
	}
	open := esdoc.Terms("state", []alert.State{alert.Firing, alert.Acknowledged})
	if f.Open {
		conditions = append(conditions, open)
	}
	if !f.From.IsZero() {
		conditions = append(conditions, since("started_at", "gte", f.From))
	}
	if !f.To.IsZero() {
		conditions = append(conditions, since("started_at", "lt", f.To))
	}
	if !f.Since.IsZero() {
		conditions = append(conditions, esdoc.Any(open, since("started_at", "gte", f.Since), since("resolved_at", "gte", f.Since)))
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	hits, err := s.index(alertsIndex).Search(ctx, map[string]any{
		"query": esdoc.Filter(conditions...), "size": f.Limit,
		"sort": []any{map[string]any{"started_at": "desc"}, map[string]any{"id": "asc"}},
	})
	if err != nil {
		return nil, err
	}
	list := make([]alerting.Stored, 0, len(hits))
	for _, h := range hits {
		a := alerting.Stored{Revision: outbox.Revision(h.Revision())}
		if err := json.Unmarshal(h.Source, &a.Alert); err != nil {
			return nil, fmt.Errorf("read alerts: %w", err)
		}
		list = append(list, a)
	}
	return list, nil
}

// since is a condition on a time; than is gte, gt or lt.
func since(field, than string, at time.Time) map[string]any {
	return map[string]any{"range": map[string]any{field: map[string]any{than: at.UTC().Format(time.RFC3339Nano)}}}
}

func leadID(service string) string { return "lead-" + esdoc.ID(service) }

// Lead reads the latest page of a service; a zero one if there is none.
func (s *Store) Lead(ctx context.Context, service string) (alert.Lead, outbox.Revision, error) {
	var l alert.Lead
	revision, err := s.get(ctx, alertsIndex, leadID(service), &l)
	if fault.Is(err, fault.NotFound) {
		return alert.Lead{}, outbox.Revision{}, nil
	}
	return l, revision, err
}

// SaveLead writes the latest page of a service.
func (s *Store) SaveLead(ctx context.Context, l alert.Lead, r outbox.Revision) error {
	_, err := s.put(ctx, alertsIndex, leadID(l.Service), struct {
		kind
		alert.Lead
	}{kind{"lead"}, l}, r)
	return err
}
