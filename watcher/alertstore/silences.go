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

// Silences returns the silences that end after now, the first to end first.
func (s *Store) Silences(ctx context.Context, now time.Time) ([]alert.Silence, error) {
	return s.silences(ctx, map[string]any{
		"query": esdoc.Filter(since("ends_at", "gt", now)),
		"size":  defaultLimit, "sort": []any{map[string]any{"ends_at": "asc"}, map[string]any{"id": "asc"}},
	})
}

// EndedSilences returns those that are over, the latest end first.
func (s *Store) EndedSilences(ctx context.Context, f alerting.EndedFilter) ([]alert.Silence, error) {
	conditions := []map[string]any{since("ends_at", "lte", f.Before)}
	if f.Maintenance {
		conditions = append(conditions, esdoc.Term("maintenance", true))
	}
	body := map[string]any{
		"query": esdoc.Filter(conditions...), "size": f.Limit,
		"sort": []any{map[string]any{"ends_at": "desc"}, map[string]any{"id": "asc"}},
	}
	if f.After != "" {
		var last alert.Silence
		if _, err := s.get(ctx, silencesIndex, f.After, &last); err != nil {
			return nil, fmt.Errorf("silences after %s: %w", f.After, err)
		}
		body["search_after"] = []any{last.EndsAt.UnixMilli(), last.ID}
	}
	return s.silences(ctx, body)
}

func (s *Store) silences(ctx context.Context, body map[string]any) ([]alert.Silence, error) {
	hits, err := s.index(silencesIndex).Search(ctx, body)
	if err != nil {
		return nil, err
	}
	list := make([]alert.Silence, 0, len(hits))
	for _, h := range hits {
		var one alert.Silence
		if err := json.Unmarshal(h.Source, &one); err != nil {
			return nil, fmt.Errorf("read silences: %w", err)
		}
		list = append(list, one)
	}
	return list, nil
}

// SaveSilence keeps a new silence; fault.Conflict if its ID is taken.
func (s *Store) SaveSilence(ctx context.Context, silence alert.Silence) error {
	_, err := s.put(ctx, silencesIndex, silence.ID, silence, outbox.Revision{})
	return err
}

// EndSilence ends a silence at now, and keeps it if it had begun; fault.NotFound
// if there is none, or none any more.
func (s *Store) EndSilence(ctx context.Context, id string, now time.Time) error {
	var one alert.Silence
	revision, err := s.get(ctx, silencesIndex, id, &one)
	switch {
	case err != nil:
	case !one.EndsAt.After(now):
		err = fault.New(fault.NotFound, "The silence is over.")
	case one.StartsAt.Before(now):
		one.EndsAt = now
		_, err = s.put(ctx, silencesIndex, id, one, revision)
	default:
		err = s.index(silencesIndex).Delete(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("end silence: %w", err)
	}
	return nil
}
