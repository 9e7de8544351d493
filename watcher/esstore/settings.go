package esstore

import (
	"context"
	"fmt"
	"net/http"

	"pharos/internal/fault"
	"pharos/watcher/document"
)

// Settings are the settings of the index of watches whose names match the
// patterns, with whole names as keys; none where there is no index yet.
func (s *Store) Settings(ctx context.Context, patterns string) (map[string]any, error) {
	var answer map[string]struct {
		Settings map[string]any `json:"settings"`
	}
	err := s.call(ctx, http.MethodGet, "/"+watchesIndex+"/_settings/"+patterns+"?flat_settings=true", nil, &answer)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", watchesIndex, err)
	}
	return answer[watchesIndex].Settings, nil
}

// ChangeSettings changes settings of the index of watches; nil takes one back to
// its default. fault.NotFound where there is no index yet.
func (s *Store) ChangeSettings(ctx context.Context, changes map[string]any) error {
	var answer document.Object
	if err := s.call(ctx, http.MethodPut, "/"+watchesIndex+"/_settings", changes, &answer); err != nil {
		return fmt.Errorf("change settings of %s: %w", watchesIndex, err)
	}
	return nil
}
