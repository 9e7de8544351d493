package esstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pharos/internal/fault"
)

// Execution is what the history tells of one execution, without its payloads.
type Execution struct {
	ID         string            `json:"id"`
	At         time.Time         `json:"at"`
	State      string            `json:"state"`
	User       string            `json:"user,omitempty"` // who asked for it; empty: the schedule
	DurationMS int64             `json:"duration_ms"`
	Met        *bool             `json:"condition_met"` // null: it was not evaluated
	Actions    []ExecutionAction `json:"actions"`
	Error      string            `json:"error,omitempty"`
}

// ExecutionAction is what became of one action.
type ExecutionAction struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// recorded is the part of a record that is read.
type recorded struct {
	State   string `json:"state"`
	User    string `json:"user"`
	Trigger struct {
		At time.Time `json:"triggered_time"`
	} `json:"trigger_event"`
	Messages  []string `json:"messages"`
	Exception reasoned `json:"exception"`
	Result    struct {
		At       time.Time `json:"execution_time"`
		Duration int64     `json:"execution_duration"`
		Input    struct {
			Error reasoned `json:"error"`
		} `json:"input"`
		Condition struct {
			Met *bool `json:"met"`
		} `json:"condition"`
		Actions []struct {
			ExecutionAction
			Error reasoned `json:"error"`
		} `json:"actions"`
	} `json:"result"`
}

type reasoned struct {
	Reason string `json:"reason"`
}

// executionFields leaves payloads where they are.
var executionFields = []string{ //nolint:gochecknoglobals // only read
	"state", "user", "trigger_event.triggered_time", "messages", "exception.reason", "result.execution_time", "result.execution_duration",
	"result.input.error.reason", "result.condition.met", "result.actions.id", "result.actions.type", "result.actions.status",
	"result.actions.reason", "result.actions.error.reason",
}

// Executions returns the last executions of a watch, the latest first. Those of
// the last second or two may be missing.
func (s *Store) Executions(ctx context.Context, watchID string, limit int) ([]Execution, error) {
	var answer struct {
		Hits struct {
			Hits []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	err := s.call(ctx, http.MethodPost, "/"+historyAlias+"/_search?allow_partial_search_results=false", map[string]any{
		"query":   map[string]any{"bool": map[string]any{"filter": []any{map[string]any{"term": map[string]any{"watch_id": watchID}}}}},
		"sort":    []any{map[string]any{"trigger_event.triggered_time": map[string]any{"order": "desc", "unmapped_type": "date"}}},
		"_source": executionFields, "size": limit, "track_total_hits": false,
	}, &answer)
	if err != nil && !fault.Is(err, fault.NotFound) { // no watch has been executed yet
		return nil, fmt.Errorf("search history: %w", err)
	}
	list := make([]Execution, 0, len(answer.Hits.Hits))
	for _, h := range answer.Hits.Hits {
		var r recorded
		if err := json.Unmarshal(h.Source, &r); err != nil {
			return nil, fmt.Errorf("read record [%s]: %w", h.ID, err)
		}
		list = append(list, r.execution(h.ID))
	}
	return list, nil
}

func (r recorded) execution(id string) Execution {
	e := Execution{
		ID: id, At: r.Result.At, State: r.State, User: r.User, DurationMS: r.Result.Duration, Met: r.Result.Condition.Met,
		Actions: []ExecutionAction{}, Error: cmp.Or(r.Exception.Reason, r.Result.Input.Error.Reason),
	}
	if e.At.IsZero() { // it was not executed; messages say why
		e.At, e.Error = r.Trigger.At, cmp.Or(e.Error, strings.Join(r.Messages, "; "))
	}
	for _, a := range r.Result.Actions {
		a.Reason = cmp.Or(a.Reason, a.Error.Reason)
		e.Actions = append(e.Actions, a.ExecutionAction)
	}
	return e
}
