package replay

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pharos/watcher/document"
)

// triggerTime is what the past is told by: it moves with the replay.
const triggerTime = "{{ctx.trigger.scheduled_time}}"

// dateMath is Elasticsearch's date math that begins at the present.
var dateMath = regexp.MustCompile(`^now([-+/].*)?$`)

// Rewritten is a watch made fit for the past.
type Rewritten struct {
	Source  *document.Object
	Indices []string // that its searches read, each once
	// Changes are the paths where the present was replaced by the time of the
	// trigger, or a window without an end was given one.
	Changes []string
}

// Rewrite makes a watch's searches ask for the time of its trigger where they ask
// for the present: now-5m becomes {{ctx.trigger.scheduled_time}}||-5m, and a range
// of time without an end ends there, because what came later was not known.
// redirect, if it is not nil, replaces the names of indices. What can't be
// replayed is a document.PathError: an http input, a search template, and a
// search that no time bounds.
func Rewrite(watch *document.Object, redirect func(index string) string) (Rewritten, error) {
	r := &rewriter{redirect: redirect}
	out := watch.Clone()
	for _, key := range []string{"input", "transform", "actions"} {
		if part, ok := out.Get(key); ok {
			if err := r.find(key, part); err != nil {
				return Rewritten{}, err
			}
		}
	}
	return Rewritten{Source: out, Indices: r.indices, Changes: r.changes}, nil
}

type rewriter struct {
	redirect func(string) string
	indices  []string
	changes  []string
	bounded  bool // the search at hand has a range of time
}

// find looks for searches, at any depth: chains and actions hold some, too.
func (r *rewriter) find(path string, v any) error {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if err := r.find(document.Index(path, i), e); err != nil {
				return err
			}
		}
	case *document.Object:
		for key, e := range v.All() {
			at := document.Join(path, key)
			request, _ := document.At(e, "request").(*document.Object)
			switch {
			case key == "search" && request != nil:
				if err := r.search(document.Join(at, "request"), request); err != nil {
					return err
				}
			case key == "http" && request != nil:
				return document.Errorf(at, "an http input asks the present: it can't be replayed")
			default:
				if err := r.find(at, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *rewriter) search(path string, request *document.Object) error {
	if _, ok := request.Get("template"); ok {
		return document.Errorf(document.Join(path, "template"), "a search template can't be replayed: write the search under [body]")
	}
	names, _ := request.Get("indices")
	list, isList := names.([]any)
	if text, ok := names.(string); ok {
		for name := range strings.SplitSeq(text, ",") {
			list = append(list, name)
		}
		isList = true
	}
	if !isList || len(list) == 0 {
		return document.Errorf(document.Join(path, "indices"), "a search of all indices can't be replayed")
	}
	for i, name := range list {
		index := document.String(name)
		if !slices.Contains(r.indices, index) {
			r.indices = append(r.indices, index)
		}
		if r.redirect != nil {
			list[i] = r.redirect(index)
		}
	}
	request.Set("indices", list)
	body, ok := request.Get("body")
	r.bounded = false
	if ok {
		r.times(document.Join(path, "body"), body)
	}
	if !r.bounded {
		return document.Errorf(document.Join(path, "body"),
			"the search has no range of time that follows now or %s: at each time of the past it would find the same", triggerTime)
	}
	return nil
}

// times rewrites the strings and ranges of a search's body, in place.
func (r *rewriter) times(path string, v any) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			at := path + "." + strconv.Itoa(i)
			if text, ok := r.past(at, e); ok {
				v[i] = text
			}
			r.times(at, e)
		}
	case *document.Object:
		for _, key := range v.Keys() {
			e, _ := v.Get(key)
			at := document.Join(path, key)
			if text, ok := r.past(at, e); ok {
				v.Set(key, text)
			}
			r.times(at, e)
			if fields, ok := e.(*document.Object); ok && key == "range" {
				for field, limits := range fields.All() {
					r.limit(document.Join(at, field), limits)
				}
			}
		}
	}
}

// past is date math from the time of the trigger on, if v was from now on.
func (r *rewriter) past(path string, v any) (string, bool) {
	text, ok := v.(string)
	if !ok || !dateMath.MatchString(text) {
		return "", false
	}
	r.changes = append(r.changes, path)
	text = triggerTime + "||" + strings.TrimPrefix(text, "now")
	return strings.TrimSuffix(text, "||"), true
}

// limit ends a range that follows the trigger's time and has no end.
func (r *rewriter) limit(path string, v any) {
	limits, ok := v.(*document.Object)
	if !ok {
		return
	}
	follows, ends := false, false
	for key, limit := range limits.All() {
		text, _ := limit.(string)
		// The times of a trigger and of an execution are one in a replay.
		follows = follows || strings.Contains(text, "{{ctx.trigger.") || strings.Contains(text, "{{ctx.execution_time")
		ends = ends || slices.Contains([]string{"lt", "lte", "to"}, key)
	}
	if !follows {
		return
	}
	r.bounded = true
	if !ends {
		limits.Set("lt", triggerTime)
		r.changes = append(r.changes, path)
	}
}
