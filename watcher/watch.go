package watcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/schedule"
)

// Watch is a watch file, parsed and checked. It does not change and is safe for
// concurrent use.
type Watch struct {
	ID       string
	Metadata *document.Object // nil if it has none
	Schedule schedule.Schedule

	input     input
	condition condition
	transform transform // nil: none
	throttle  *time.Duration
	actions   []*wrapper
	source    *document.Object
}

// Next is when the watch is due after a time; zero: never again.
func (w *Watch) Next(after time.Time) time.Time { return w.Schedule.Next(after) }

// ActionIDs are the ids of the actions in their order.
func (w *Watch) ActionIDs() []string {
	ids := make([]string, 0, len(w.actions))
	for _, a := range w.actions {
		ids = append(ids, a.id)
	}
	return ids
}

// Source is the watch as Elastic's GET shows it: defaults filled in, scripts and
// templates as objects. Its secrets are as they are: [Redact] hides them. The
// caller does not change it.
func (w *Watch) Source() *document.Object { return w.source }

// SecretPaths are the places in Source, joined by dots, that hold secrets.
func (w *Watch) SecretPaths() []string {
	var paths []string
	for _, path := range w.input.secrets() {
		paths = append(paths, document.Join("input."+w.input.kind(), path))
	}
	for _, a := range w.actions {
		for _, path := range a.action.SecretPaths() {
			paths = append(paths, "actions."+a.id+"."+a.kind+"."+path)
		}
	}
	return paths
}

// Parse reads a watch as a caller sends it. What is wrong with it is a
// *document.PathError in the words of Elastic's parsers. Scripts are compiled by
// Elasticsearch; that it can't be asked is another error.
func (e *Engine) Parse(ctx context.Context, id string, source []byte) (*Watch, error) {
	return e.parse(ctx, id, source, true)
}

// Load reads a watch that Parse once took: scripts are not compiled again, and
// Elasticsearch is not asked.
func (e *Engine) Load(id string, source []byte) (*Watch, error) {
	return e.parse(context.Background(), id, source, false)
}

func (e *Engine) parse(ctx context.Context, id string, source []byte, compile bool) (*Watch, error) {
	if len(strings.TrimSpace(string(source))) == 0 {
		return nil, document.Errorf("", "could not parse watch [%s]. null token", id)
	}
	v, err := document.Parse(source)
	if err != nil {
		var place *document.PathError
		path := ""
		if errors.As(err, &place) {
			path = place.Path
		}
		return nil, &document.PathError{Path: path, Reason: "could not parse watch [" + id + "]", Err: document.NewError(http.StatusBadRequest, "x_content_parse_exception", err.Error())}
	}
	o, ok := v.(*document.Object)
	if !ok {
		return nil, document.Errorf("", "could not parse watch [%s], unexpected token [%s]", id, document.Token(v))
	}
	about := subject("could not parse watch [" + id + "]. ")
	p := &parser{ctx: ctx, engine: e, id: id, compile: compile}
	w := &Watch{ID: id, input: noInput{}, condition: constant(true)}
	for key, v := range o.All() {
		var err error
		switch key {
		case "trigger":
			w.Schedule, err = p.trigger(key, v)
		case "input":
			w.input, err = p.input(key, v)
		case "condition":
			w.condition, err = p.condition(key, v)
		case "transform":
			w.transform, err = p.transform(key, v)
		case "throttle_period":
			var d time.Duration
			d, err = period(key, key, string(about)+"failed to parse time value for field ["+key+"]", v)
			w.throttle = &d
		case "throttle_period_in_millis":
			var d time.Duration
			d, err = millis(key, v)
			w.throttle = &d
		case "actions":
			w.actions, err = p.actions(key, v)
		case "metadata":
			if w.Metadata, ok = v.(*document.Object); !ok {
				err = about.at(key, "expected an object for [metadata] but found [%s]", document.Token(v))
			}
		case "status":
			// A watch may be sent back with what GET showed; the status is not the
			// caller's to set.
			if _, ok := v.(*document.Object); !ok {
				err = about.at(key, "unexpected field [%s]", key)
			}
		default:
			err = about.at(key, "unexpected field [%s]", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if w.Schedule == nil {
		return nil, about.at("", "missing required field [trigger]")
	}
	// Elastic carries metadata along unread; what is ours in it is held to its form.
	if _, err := alert.ParsePolicy(w.Metadata); err != nil {
		return nil, err
	}
	w.source = w.value()
	return w, nil
}

func (p *parser) trigger(path string, v any) (schedule.Schedule, error) {
	about := subject("could not parse trigger for [" + p.id + "]. ")
	kind, body, err := single(path, v, about, "trigger", "expected trigger type string field, but found [END_OBJECT]")
	if err != nil {
		return nil, err
	}
	path = document.Join(path, kind)
	if kind != "schedule" {
		return nil, document.Errorf(path, "could not parse trigger [%s] for [%s]. unknown trigger type [%s]", kind, p.id, kind)
	}
	return schedule.Parse(path, body)
}

func (w *Watch) value() *document.Object {
	o := document.NewObject(
		document.Pair{Key: "trigger", Value: document.NewObject(document.Pair{Key: "schedule", Value: w.Schedule.Value()})},
		document.Pair{Key: "input", Value: inputValue(w.input)},
		document.Pair{Key: "condition", Value: conditionValue(w.condition)})
	if w.transform != nil {
		o.Set("transform", transformValue(w.transform))
	}
	if w.throttle != nil {
		o.Set("throttle_period_in_millis", w.throttle.Milliseconds())
	}
	actions := document.NewObject()
	for _, a := range w.actions {
		actions.Set(a.id, a.value())
	}
	o.Set("actions", actions)
	if w.Metadata != nil {
		o.Set("metadata", w.Metadata)
	}
	return o
}

// ValidID reports what is wrong with the id of a watch, in Elastic's words.
func ValidID(id string) error {
	switch {
	case id == "":
		return errors.New("watch id is missing")
	case hasSpace(id):
		return errors.New("watch id contains whitespace")
	case len(id) > 512:
		return fmt.Errorf("id is too long, must be no longer than 512 bytes but was: %d", len(id))
	}
	return nil
}

func asAnswer(err error) (*document.Error, bool) {
	var e *document.Error
	return e, errors.As(err, &e)
}

func itoa(n int) string { return strconv.Itoa(n) }
