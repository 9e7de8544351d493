package watcherhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/watcher"
	"pharos/watcher/datemath"
	"pharos/watcher/document"
)

// inlined is the id of a watch that an _execute call brings along.
const inlined = "_inlined_"

// executeRequest is the body of an _execute call.
type executeRequest struct {
	watch   *document.Object // inline, or nil
	trigger *document.Object // trigger_data, or nil
	record  bool
	options watcher.Options
}

func (a *api) execute(c *gin.Context, user string) (reply, error) {
	ctx := c.Request.Context()
	data, err := readBody(c)
	if err != nil {
		return reply{}, err
	}
	req, err := parseExecute(data)
	if err != nil {
		return reply{}, err
	}
	id := c.Param("id")
	switch {
	case id == "" && req.watch == nil:
		return reply{}, invalid("a watch execution request must either have a watch id or an inline watch source, but both are missing")
	case id != "" && req.watch != nil:
		return reply{}, invalid("a watch execution request must either have a watch id or an inline watch source but not both")
	case id == "" && req.record:
		return reply{}, invalid("the execution of an inline watch cannot be recorded")
	}
	if id == "" || !req.simulates() {
		if _, err := a.Authorizer.Authorize(ctx, c.GetHeader("Authorization"), Manage); err != nil {
			return reply{}, err
		}
	}
	if req.options.Debug, err = flag(c, "debug", false); err != nil {
		return reply{}, err
	}
	req.options.User, req.options.Node = user, a.Node
	trigger, err := a.trigger(req.trigger)
	if err != nil {
		return reply{}, err
	}
	w, status, err := a.toExecute(ctx, id, req.watch)
	if err != nil {
		return reply{}, err
	}
	record, after := a.Engine.Execute(ctx, w, status, trigger, req.options)
	if req.record {
		if !pretended(req.options.ActionModes) {
			if err := a.Executed(ctx, w, record); err != nil {
				httpserver.LogFault(c, fmt.Errorf("alerts of watch [%s]: %w", id, err))
			}
		}
		if err := a.keep(ctx, id, record, after); err != nil {
			return reply{}, err
		}
	}
	return ok(pair("_id", record.ID), pair("watch_record", record.Document()))
}

// simulates reports whether the watch is run as it is, on its own input, without
// doing or keeping anything.
func (r executeRequest) simulates() bool {
	simulated := func(m watcher.Mode) bool { return m == watcher.Simulate || m == watcher.ForceSimulate }
	for _, m := range r.options.ActionModes {
		if !simulated(m) && m != watcher.Skip {
			return false
		}
	}
	return r.watch == nil && !r.record && r.options.AlternativeInput == nil && simulated(r.options.ActionModes["_all"])
}

// pretended reports whether an action was not to be executed for good.
func pretended(modes map[string]watcher.Mode) bool {
	for _, m := range modes {
		if m != watcher.Execute && m != watcher.ForceExecute {
			return true
		}
	}
	return false
}

// toExecute is the stored watch with its status, or the inline one with a new
// status.
func (a *api) toExecute(ctx context.Context, id string, inline *document.Object) (*watcher.Watch, watcher.Status, error) {
	if inline != nil {
		if place, ok := watcher.RedactedPlace(inline, ""); ok {
			return nil, watcher.Status{}, document.Errorf(place, "found redacted password in field [%s]", place)
		}
		source, err := document.Marshal(inline)
		if err != nil {
			return nil, watcher.Status{}, fmt.Errorf("read inline watch: %w", err)
		}
		w, err := a.Engine.Parse(ctx, inlined, source)
		if err != nil {
			return nil, watcher.Status{}, err
		}
		return w, watcher.NewStatus(true, a.Now(), w.ActionIDs()), nil
	}
	stored, err := a.Store.Get(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, watcher.Status{}, missing(id)
	case err != nil:
		return nil, watcher.Status{}, fmt.Errorf("get watch [%s]: %w", id, err)
	}
	w, err := a.load(stored)
	stored.Status.Version = stored.Version
	return w, stored.Status, err
}

// keep stores the record, and the status as the execution left it, whatever
// somebody else wrote meanwhile but for activation, which is theirs.
func (a *api) keep(ctx context.Context, id string, record watcher.Record, after watcher.Status) error {
	_, err := a.change(ctx, id, func(s *watcher.Status) bool {
		after.Active, after.StateChanged, after.Version = s.Active, s.StateChanged, s.Version
		*s = after
		return true
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("keep status of watch [%s]: %w", id, err)
	}
	if err := a.Store.Record(ctx, record); err != nil {
		return fmt.Errorf("keep record [%s]: %w", record.ID, err)
	}
	return nil
}

// trigger reads trigger_data: when the execution is taken to be triggered, and
// scheduled for. Both are now unless they are given, as dates or as date math.
func (a *api) trigger(data *document.Object) (watcher.Trigger, error) {
	now := a.Now().UTC().Truncate(time.Millisecond)
	t := watcher.Trigger{Manual: true, TriggeredTime: now}
	for key, to := range map[string]*time.Time{"triggered_time": &t.TriggeredTime, "scheduled_time": &t.ScheduledTime} {
		v, there := data.Get(key)
		if !there {
			continue
		}
		var err error
		switch v := v.(type) {
		case string:
			*to, err = datemath.Resolve(v, now)
		case int64:
			*to = time.UnixMilli(v).UTC()
		default:
			err = errors.New("expected a date")
		}
		if err != nil {
			return t, &document.PathError{Path: "trigger_data." + key, Reason: "failed to parse date field [" + document.String(v) + "] with format [strict_date_optional_time||epoch_millis]",
				Err: document.NewError(http.StatusBadRequest, "illegal_argument_exception", err.Error())}
		}
	}
	if t.ScheduledTime.IsZero() {
		t.ScheduledTime = t.TriggeredTime
	}
	return t, nil
}

func parseExecute(data []byte) (executeRequest, error) {
	const about = "could not parse watch execution request"
	req := executeRequest{}
	if len(data) == 0 {
		return req, nil
	}
	body, err := document.ParseObject(data)
	if err != nil {
		return req, &document.PathError{Reason: about, Err: document.NewError(http.StatusBadRequest, "x_content_parse_exception", err.Error())}
	}
	for key, v := range body.All() {
		switch v := v.(type) {
		case *document.Object:
			switch key {
			case "watch":
				req.watch = v
			case "trigger_data":
				req.trigger = v
			case "alternative_input":
				req.options.AlternativeInput = v
			case "action_modes":
				if req.options.ActionModes, err = parseModes(about, v); err != nil {
					return req, err
				}
			default:
				return req, document.Errorf(key, about+". unexpected object field [%s]", key)
			}
		case bool:
			switch key {
			case "ignore_condition":
				req.options.IgnoreCondition = v
			case "record_execution":
				req.record = v
			default:
				return req, document.Errorf(key, about+". unexpected boolean field [%s]", key)
			}
		default:
			return req, document.Errorf(key, about+". unexpected token [%s]", document.Token(v))
		}
	}
	return req, nil
}

func parseModes(about string, o *document.Object) (map[string]watcher.Mode, error) {
	modes := map[string]watcher.Mode{}
	for action, v := range o.All() {
		text, _ := v.(string)
		mode, ok := watcher.ParseMode(text)
		if !ok {
			return nil, &document.PathError{Path: document.Join("action_modes", action), Reason: about,
				Err: document.NewError(http.StatusBadRequest, "illegal_argument_exception", "unknown action execution mode ["+document.String(v)+"]")}
		}
		modes[action] = mode
	}
	return modes, nil
}
