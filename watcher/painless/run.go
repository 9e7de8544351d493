package painless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pharos/watcher/document"
)

// Elasticsearch runs the scripts.
type Elasticsearch interface {
	// Do sends a request with a JSON body (nil: none) and returns the status and
	// the body of any answer; an error only if none came.
	Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
}

// storedFor is how long a stored script is run as it was: a change of it is seen
// after that.
const storedFor = 5 * time.Second

// Runner runs scripts. It is safe for concurrent use.
type Runner struct {
	es  Elasticsearch
	now func() time.Time

	mu     sync.Mutex
	stored map[string]stored
}

type stored struct {
	source string
	until  time.Time
}

// NewRunner returns a Runner.
func NewRunner(es Elasticsearch, now func() time.Time) *Runner {
	return &Runner{es: es, now: now, stored: map[string]stored{}}
}

// Forget makes the next run of every stored script read it anew.
func (r *Runner) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.stored)
}

// Program is a script together with what it must return. It is safe for
// concurrent use.
type Program struct {
	script  *Script
	returns Returns
	// open is set once the script is known not to return on every way through it.
	open atomic.Bool
}

// NewProgram returns a Program; it is compiled by Compile or by its first run.
func NewProgram(script *Script, returns Returns) *Program {
	return &Program{script: script, returns: returns}
}

// Script is what the program was made of.
func (p *Program) Script() *Script { return p.script }

// Output is what a run came to.
type Output struct {
	Value any              // what the script returned
	Vars  *document.Object // ctx.vars after it
	// Payload is ctx.payload after it, if Changed tells that the script changed
	// it.
	Payload any
	Changed bool
}

// Compile reports what Elasticsearch has against a script: a *document.Error.
func (r *Runner) Compile(ctx context.Context, p *Program) error {
	_, err := r.call(ctx, p, document.NewObject())
	return err
}

// Run runs a program with model as its ctx. Dates of the model reach the script
// as ZonedDateTime, and dates that it returns or leaves in ctx.vars and
// ctx.payload come back as time.Time. What the script itself does wrong is a
// *document.Error with script_stack, as Elastic's records have it.
func (r *Runner) Run(ctx context.Context, p *Program, model *document.Object) (Output, error) {
	params := p.script.Params
	if params == nil {
		params = document.NewObject()
	}
	answer, err := r.call(ctx, p, document.NewObject(
		document.Pair{Key: "ctx", Value: model},
		document.Pair{Key: "params", Value: params},
		document.Pair{Key: "dates", Value: datesIn(model, nil)},
	))
	if err != nil {
		return Output{}, err
	}
	return output(answer)
}

func output(answer string) (Output, error) {
	v, err := document.Parse([]byte(answer))
	if err != nil {
		return Output{}, fmt.Errorf("read what the script returned: %w", err)
	}
	if both, ok := v.([]any); ok && len(both) == 2 {
		v = both[0]
		if err := restoreDates(v, both[1]); err != nil {
			return Output{}, err
		}
	}
	o, _ := v.(*document.Object)
	out := Output{}
	out.Value, _ = o.Get("result")
	out.Payload, out.Changed = o.Get("payload")
	vars, _ := o.Get("vars")
	out.Vars, _ = vars.(*document.Object)
	return out, nil
}

// datesIn lists the paths of the dates in a value.
func datesIn(v any, path []any) []any {
	var found []any
	switch v := v.(type) {
	case time.Time:
		return []any{append([]any{}, path...)}
	case *document.Object:
		for k, e := range v.All() {
			found = append(found, datesIn(e, append(path, k))...)
		}
	case []any:
		for i, e := range v {
			found = append(found, datesIn(e, append(path, strconv.Itoa(i)))...)
		}
	}
	return found
}

// restoreDates makes times of the strings at the paths. A path goes through keys
// with dots, so document.At does not serve.
func restoreDates(v, paths any) error {
	list, _ := paths.([]any)
	for _, p := range list {
		steps, _ := p.([]any)
		at := v
		for i, step := range steps {
			key, _ := step.(string)
			switch in := at.(type) {
			case *document.Object:
				at, _ = in.Get(key)
				if i == len(steps)-1 {
					t, err := parseDate(at)
					if err != nil {
						return err
					}
					in.Set(key, t)
				}
			case []any:
				n, err := strconv.Atoi(key)
				if err != nil || n < 0 || n >= len(in) {
					return fmt.Errorf("read what the script returned: no element %s", key)
				}
				at = in[n]
				if i == len(steps)-1 {
					t, err := parseDate(at)
					if err != nil {
						return err
					}
					in[n] = t
				}
			}
		}
	}
	return nil
}

func parseDate(v any) (time.Time, error) {
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("read a date that the script returned: %w", err)
	}
	return t, nil
}

// call runs a program with params and returns what it returned.
func (r *Runner) call(ctx context.Context, p *Program, params *document.Object) (string, error) {
	source, name, err := r.source(ctx, p.script)
	if err != nil {
		return "", err
	}
	open := p.open.Load()
	answer, err := r.execute(ctx, wrap(source, p.returns, open), name, params)
	var refused *document.Error
	if !open && errors.As(err, &refused) && strings.Contains(refused.Cause(), "not all paths provide a return value for function [pharosRun]") {
		p.open.Store(true)
		return r.execute(ctx, wrap(source, p.returns, true), name, params)
	}
	return answer, err
}

func (r *Runner) execute(ctx context.Context, w wrapped, name string, params *document.Object) (string, error) {
	body, err := document.Marshal(document.NewObject(document.Pair{Key: "script", Value: document.NewObject(
		document.Pair{Key: "source", Value: w.text}, document.Pair{Key: "params", Value: params})}))
	if err != nil {
		return "", fmt.Errorf("run script: %w", err)
	}
	status, answer, err := r.es.Do(ctx, http.MethodPost, "/_scripts/painless/_execute", body)
	if err != nil {
		return "", fmt.Errorf("run script: %w", err)
	}
	if status != http.StatusOK {
		return "", translate(w, name, document.AnsweredError(status, answer))
	}
	var result struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return "", fmt.Errorf("run script: read answer: %w", err)
	}
	return result.Result, nil
}

// source returns what a script says and the name that errors call it by.
func (r *Runner) source(ctx context.Context, s *Script) (source, name string, err error) {
	if s.ID == "" {
		return s.Source, shorten(s.Source), nil
	}
	r.mu.Lock()
	known, ok := r.stored[s.ID]
	r.mu.Unlock()
	if ok && r.now().Before(known.until) {
		return known.source, s.ID, nil
	}
	status, answer, err := r.es.Do(ctx, http.MethodGet, "/_scripts/"+url.PathEscape(s.ID), nil)
	if err != nil {
		return "", "", fmt.Errorf("get stored script [%s]: %w", s.ID, err)
	}
	var found struct {
		Script struct {
			Lang   string `json:"lang"`
			Source string `json:"source"`
		} `json:"script"`
	}
	switch {
	case status == http.StatusNotFound:
		return "", "", document.NewError(status, "resource_not_found_exception", "unable to find script ["+s.ID+"] in cluster state")
	case status != http.StatusOK:
		return "", "", document.AnsweredError(status, answer)
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return "", "", fmt.Errorf("get stored script [%s]: read answer: %w", s.ID, err)
	}
	if found.Script.Lang != "painless" {
		return "", "", document.NewError(http.StatusBadRequest, "illegal_argument_exception", "script_lang not supported ["+found.Script.Lang+"]")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.stored {
		if !r.now().Before(s.until) {
			delete(r.stored, id)
		}
	}
	r.stored[s.ID] = stored{source: found.Script.Source, until: r.now().Add(storedFor)}
	return found.Script.Source, s.ID, nil
}
