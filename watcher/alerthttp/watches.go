package alerthttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/esstore"
	"pharos/watcher/replay"
)

func (a *api) history(c *gin.Context, _ Caller) (int, any, error) {
	limit, err := limitOf(c)
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Watches.Get(c.Request.Context(), c.Param("id")); err != nil {
		return 0, nil, err
	}
	executions, err := a.Watches.Executions(c.Request.Context(), c.Param("id"), limit)
	return list[esstore.Execution](executions, err)
}

type replayBody struct {
	From string `json:"from"`
	To   string `json:"to"`   // now if left out
	Step string `json:"step"` // a duration as 5m; by the watch's schedule if left out
}

const (
	// mostReplays go on at once; each asks Elasticsearch thousands of times.
	mostReplays = 2
	// replayTimeout is less than the server takes to write an answer at most.
	replayTimeout = 50 * time.Second
	busyFor       = 10 * time.Second
)

func (b replayBody) options(now time.Time) (replay.Options, error) {
	var o replay.Options
	var err error
	if o.From, err = timeOf("from", b.From); err != nil {
		return o, err
	}
	if o.To, err = timeOf("to", b.To); err != nil {
		return o, err
	}
	if o.To.IsZero() || o.To.After(now) {
		o.To = now.UTC()
	}
	switch {
	case o.From.IsZero():
		return o, fault.Field(fault.InvalidParameter, "from", "Say when it begins.")
	case !o.From.Before(o.To):
		return o, fault.Field(fault.InvalidParameter, "from", "It must be before the end and in the past.")
	case b.Step == "":
		return o, nil
	}
	if o.Step, err = time.ParseDuration(b.Step); err != nil || o.Step < time.Second {
		return o, fault.Field(fault.InvalidParameter, "step", "It must be a duration of at least 1s, as 5m.")
	}
	if o.To.Sub(o.From)/o.Step > replay.MaxRuns {
		return o, fault.Field(fault.LimitExceeded, "step", "That would be more than %d executions: take a longer step or a shorter time.", replay.MaxRuns)
	}
	return o, nil
}

// replay answers when a watch would have fired, over what the caller may read.
func (a *api) replay(c *gin.Context, _ Caller) (int, any, error) {
	var body replayBody
	if err := decode(c, &body); err != nil {
		return 0, nil, err
	}
	o, err := body.options(a.Now())
	if err != nil {
		return 0, nil, err
	}
	o.GroupWindow = a.Alerts.Config.GroupWindow
	select {
	case a.replays <- struct{}{}:
		defer func() { <-a.replays }()
	default:
		return 0, nil, &fault.Error{Code: fault.Overloaded, Detail: "Other replays go on.", RetryAfter: busyFor}
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), replayTimeout)
	defer cancel()
	id := c.Param("id")
	stored, err := a.Watches.Get(ctx, id)
	if err != nil {
		return 0, nil, err
	}
	past, err := replay.Rewrite(stored.Source, nil)
	if err != nil {
		return 0, nil, unfit(err)
	}
	es := a.As(c.GetHeader("Authorization"))
	if err := mayRead(ctx, es, past.Indices); err != nil {
		return 0, nil, err
	}
	result, err := replay.Watch(ctx, es, id, past.Source, o)
	switch {
	case ctx.Err() != nil:
		return 0, nil, fault.New(fault.Timeout, "The replay was not done in %s: take a longer step or a shorter time.", replayTimeout)
	case err != nil:
		return 0, nil, unfit(err)
	}
	return http.StatusOK, struct {
		replay.Result
		Changes []string `json:"changes"` // paths where the present was replaced by each execution's time
	}{result, append([]string{}, past.Changes...)}, nil
}

// mayRead refuses who may not read all that a watch searches: Elasticsearch leaves
// out what a caller may not read, so that the watch would seem never to fire.
func mayRead(ctx context.Context, es watcher.Elasticsearch, indices []string) error {
	if len(indices) == 0 {
		return nil
	}
	question, err := json.Marshal(map[string]any{"index": []any{map[string]any{"names": indices, "privileges": []string{"read"}}}})
	if err != nil {
		return err
	}
	status, text, err := es.Do(ctx, http.MethodPost, "/_security/user/_has_privileges", question)
	switch {
	case err != nil:
		return fmt.Errorf("ask for the caller's rights: %w", err)
	case status != http.StatusOK:
		return fmt.Errorf("ask for the caller's rights: %w", document.AnsweredError(status, text))
	}
	var answer struct {
		Index map[string]struct {
			Read bool `json:"read"`
		} `json:"index"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("read the caller's rights: %w", err)
	}
	for _, name := range indices {
		if !answer.Index[name].Read {
			return fault.New(fault.Forbidden, "The watch searches %s, which you may not read, or not all of it.", name)
		}
	}
	return nil
}

// unfit says why a watch can't be replayed, where that is the watch's fault.
func unfit(err error) error {
	var place *document.PathError
	if errors.As(err, &place) {
		return fault.Field(fault.InvalidParameter, place.Path, "The watch can't be replayed: %s.", place)
	}
	return err
}
