package watcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/mustache"
)

// searchTimeout is how long a search may take that names no timeout.
const searchTimeout = 30 * time.Second

// search is the request that the search input and the search transform share.
type search struct {
	kind     string // query_then_fetch
	indices  []string
	body     *document.Object // nil: none
	template *mustache.Template
	rendered *mustache.Template // what becomes the body: template's, or body as one
	options  *indicesOptions    // nil: the default
	// totalAsInt makes hits.total a number, as watches expect it, and not an
	// object.
	totalAsInt bool
	extract    []string      // keys of the answer to keep; nil: all
	timeout    time.Duration // 0: none given
	zone       string        // dynamic_name_timezone of the input, "" if not given
}

// indicesOptions say what a search makes of indices that are not there.
type indicesOptions struct {
	expand            []string
	ignoreUnavailable bool
	allowNone         bool
	ignoreThrottled   bool
}

// defaultIndicesOptions are those of watches: what is not there holds nothing.
func defaultIndicesOptions() indicesOptions {
	return indicesOptions{expand: []string{"open"}, ignoreUnavailable: true, allowNone: true}
}

// search reads {"request", "timeout", …}; part is "input" or "transform".
func (p *parser) search(path string, v any, part string) (*search, error) {
	about := subject("could not parse [search] " + part + " for watch [" + p.id + "]. ")
	o, ok := v.(*document.Object)
	if !ok {
		return nil, about.at(path, "expected an object, but found [%s] instead", document.Token(v))
	}
	var s *search
	var extract []string
	var timeout time.Duration
	var zone string
	for key, v := range o.All() {
		at := document.Join(path, key)
		var err error
		switch {
		case key == "request":
			if s, err = p.searchRequest(at, v); err != nil {
				var place *document.PathError
				if errors.As(err, &place) && place.Reason != "" {
					cause := document.NewError(http.StatusBadRequest, "parse_exception", place.Reason)
					err = &document.PathError{Path: place.Path, Reason: string(about) + "failed to parse [request]", Err: cause}
				}
			}
		case key == "timeout":
			timeout, err = period(at, key, "", v)
		case key == "timeout_in_millis":
			timeout, err = millis(at, v)
		case key == "extract" && part == "input":
			extract, err = keyList(at, about, v)
		case key == "dynamic_name_timezone" && part == "input":
			if zone, ok = v.(string); !ok {
				err = about.at(at, "failed to parse [dynamic_name_timezone]. must be a string value (e.g. 'UTC' or '+01:00').")
			} else if _, zoneErr := time.LoadLocation(zone); zoneErr != nil && !strings.ContainsAny(zone, "+-:") {
				err = about.at(at, "unknown time zone [%s]", zone)
			}
		default:
			err = about.at(at, "unexpected field [%s]", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, about.at(path, "missing required [request] field")
	}
	s.extract, s.timeout, s.zone = extract, timeout, zone
	return s, nil
}

// keyList reads extract: a list of keys.
func keyList(path string, about subject, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, about.at(path, "unexpected token [%s]", document.Token(v))
	}
	keys := []string{}
	for i, v := range list {
		key, ok := v.(string)
		if !ok {
			return nil, about.at(document.Index(path, i), "expected a string value in [extract] array but found [%s] instead", document.Token(v))
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (p *parser) searchRequest(path string, v any) (*search, error) {
	const about subject = "could not read search request. "
	o, ok := v.(*document.Object)
	if !ok {
		return nil, about.at(path, "unexpected token [%s]", document.Token(v))
	}
	s := &search{kind: "query_then_fetch", totalAsInt: true}
	for key, v := range o.All() {
		at := document.Join(path, key)
		object, isObject := v.(*document.Object)
		text, isText := v.(string)
		var err error
		switch key {
		case "indices":
			s.indices, err = indexList(at, v)
		case "types": // of Elasticsearch 6 and before; no index has any
			if _, ok := v.([]any); !ok && !isText {
				err = about.at(at, "unexpected token [%s]", document.Token(v))
			}
		case "search_type":
			if s.kind = strings.ToLower(text); s.kind != "query_then_fetch" && s.kind != "dfs_query_then_fetch" {
				err = &document.PathError{Path: at, Err: document.NewError(http.StatusBadRequest, "illegal_argument_exception", "No search type for ["+document.String(v)+"]")}
			}
		case "body":
			if !isObject {
				err = about.at(at, "unexpected token [%s]", document.Token(v))
			}
			s.body = object
		case "template":
			if !isObject {
				err = about.at(at, "unexpected token [%s]", document.Token(v))
				break
			}
			s.template, err = mustache.ParseTemplate(at, v)
		case "indices_options":
			s.options, err = parseIndicesOptions(at, v)
		case "rest_total_hits_as_int":
			asInt, isBool := v.(bool)
			if !isBool {
				err = about.at(at, "unexpected token [%s]", document.Token(v))
			}
			s.totalAsInt = asInt
		default:
			err = about.at(at, "unexpected field [%s]", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.indices == nil {
		s.indices = []string{}
	}
	s.rendered = s.template
	if s.rendered == nil && s.body != nil {
		source, err := document.Marshal(s.body)
		if err != nil {
			return nil, &document.PathError{Path: document.Join(path, "body"), Reason: string(about) + "[body] is not valid", Err: err}
		}
		if s.rendered, err = mustache.ParseTemplate(document.Join(path, "body"), string(source)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func indexList(path string, v any) ([]string, error) {
	const about subject = "could not read search request. "
	switch v := v.(type) {
	case string:
		return strings.Split(v, ","), nil
	case []any:
		list := []string{}
		for i, e := range v {
			name, ok := e.(string)
			if !ok {
				return nil, about.at(document.Index(path, i), "expected string values in [indices] field, but instead found [%s]", document.Token(e))
			}
			list = append(list, name)
		}
		return list, nil
	default:
		return nil, about.at(path, "unexpected token [%s]", document.Token(v))
	}
}

func parseIndicesOptions(path string, v any) (*indicesOptions, error) {
	const about subject = "could not read indices options. "
	o, ok := v.(*document.Object)
	if !ok {
		return nil, about.at(path, "unexpected token [%s]", document.Token(v))
	}
	options := defaultIndicesOptions()
	for key, v := range o.All() {
		at := document.Join(path, key)
		switch key {
		case "expand_wildcards":
			var err error
			if options.expand, err = wildcards(at, about, v); err != nil {
				return nil, err
			}
		case "ignore_unavailable", "allow_no_indices", "ignore_throttled":
			flag, ok := v.(bool)
			if text, isText := v.(string); isText && (text == "true" || text == "false") {
				flag, ok = text == "true", true
			}
			if !ok {
				return nil, about.at(at, "expected a boolean for [%s] but found [%s]", key, document.Token(v))
			}
			*map[string]*bool{"ignore_unavailable": &options.ignoreUnavailable, "allow_no_indices": &options.allowNone, "ignore_throttled": &options.ignoreThrottled}[key] = flag
		default:
			return nil, about.at(at, "unexpected index option [%s]", key)
		}
	}
	return &options, nil
}

func wildcards(path string, about subject, v any) ([]string, error) {
	var names []string
	switch v := v.(type) {
	case string:
		names = strings.Split(v, ",")
	case []any:
		for _, e := range v {
			names = append(names, document.String(e))
		}
	default:
		return nil, about.at(path, "unexpected token [%s] for [expand_wildcards]", document.Token(v))
	}
	expand := []string{}
	for _, name := range names {
		switch name {
		case "open", "closed", "hidden":
			if !slices.Contains(expand, name) {
				expand = append(expand, name)
			}
		case "all":
			expand = []string{"open", "closed", "hidden"}
		case "none":
			expand = []string{}
		default:
			return nil, about.at(path, "unknown value [%s] for [expand_wildcards] field", name)
		}
	}
	return expand, nil
}

// request is what stands under request, in records with the rendered body.
func (s *search) request(body any) *document.Object {
	indices := []any{}
	for _, name := range s.indices {
		indices = append(indices, name)
	}
	o := document.NewObject(
		document.Pair{Key: "search_type", Value: s.kind},
		document.Pair{Key: "indices", Value: indices},
		document.Pair{Key: "rest_total_hits_as_int", Value: s.totalAsInt})
	if body != nil {
		o.Set("body", body)
	}
	if s.options != nil {
		expand := []any{}
		for _, name := range s.options.expand {
			expand = append(expand, name)
		}
		o.Set("indices_options", document.NewObject(
			document.Pair{Key: "expand_wildcards", Value: expand},
			document.Pair{Key: "ignore_unavailable", Value: s.options.ignoreUnavailable},
			document.Pair{Key: "allow_no_indices", Value: s.options.allowNone},
			document.Pair{Key: "ignore_throttled", Value: s.options.ignoreThrottled}))
	}
	if s.template != nil {
		o.Set("template", s.template.Value())
	}
	return o
}

// value is the search as Elastic's GET shows it.
func (s *search) value() any {
	var body any
	if s.body != nil {
		body = s.body
	}
	o := document.NewObject(document.Pair{Key: "request", Value: s.request(body)})
	if s.extract != nil {
		o.Set("extract", anyList(s.extract))
	}
	if s.timeout > 0 {
		o.Set("timeout_in_millis", s.timeout.Milliseconds())
	}
	if s.zone != "" {
		o.Set("dynamic_name_timezone", s.zone)
	}
	return o
}

func anyList(texts []string) []any {
	list := []any{}
	for _, text := range texts {
		list = append(list, text)
	}
	return list
}

// run searches and returns the answer and what the record says of the request;
// detail is nil if the body could not be rendered.
func (s *search) run(ctx context.Context, x *execution, payload *document.Object) (found, detail *document.Object, err error) {
	var body []byte
	var shown any
	if s.rendered != nil {
		text, err := x.engine.renderer.RenderSearch(ctx, s.rendered, x.model(payload))
		if err != nil {
			return nil, nil, err
		}
		body = []byte(text)
		if shown, err = document.ParseObject(body); err != nil {
			return nil, nil, document.NewError(http.StatusBadRequest, "parsing_exception", "the rendered search body is no JSON object: "+err.Error())
		}
	}
	detail = document.NewObject(document.Pair{Key: "request", Value: s.request(shown)})
	limit := s.timeout
	if limit <= 0 {
		limit = searchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	status, answer, err := x.engine.es.Do(ctx, http.MethodPost, s.path(), body)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, detail, document.NewError(http.StatusInternalServerError, "timeout_exception", "the search took longer than ["+timeValue(limit)+"]")
	case err != nil:
		return nil, detail, fmt.Errorf("search: %w", err)
	case status != http.StatusOK:
		return nil, detail, document.AnsweredError(status, answer)
	}
	if found, err = document.ParseObject(answer); err != nil {
		return nil, detail, fmt.Errorf("search: read answer: %w", err)
	}
	if s.extract != nil {
		found = extract(found, s.extract)
	}
	return found, detail, nil
}

func (s *search) path() string {
	options := defaultIndicesOptions()
	if s.options != nil {
		options = *s.options
	}
	q := url.Values{}
	q.Set("search_type", s.kind)
	q.Set("rest_total_hits_as_int", fmt.Sprint(s.totalAsInt))
	q.Set("ignore_unavailable", fmt.Sprint(options.ignoreUnavailable))
	q.Set("allow_no_indices", fmt.Sprint(options.allowNone))
	q.Set("expand_wildcards", "none")
	if len(options.expand) > 0 {
		q.Set("expand_wildcards", strings.Join(options.expand, ","))
	}
	names := make([]string, len(s.indices))
	for i, name := range s.indices {
		names[i] = url.PathEscape(name)
	}
	target := ""
	if len(names) > 0 {
		target = "/" + strings.Join(names, ",")
	}
	return target + "/_search?" + q.Encode()
}
