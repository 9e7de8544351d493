// Package painless runs the scripts of watches. Elasticsearch runs them itself,
// by its call _scripts/painless/_execute, so that they mean what Elastic's mean:
// https://www.elastic.co/guide/en/elasticsearch/painless/8.19/painless-execute-api.html
package painless

import (
	"net/http"

	"pharos/watcher/document"
)

// Script is a script of a watch: its own source, or the id of a stored one.
type Script struct {
	Source  string // of an inline script
	ID      string // of a stored script
	Params  *document.Object
	Options *document.Object
}

// Parse reads what stands under script: the source alone, or an object with
// source or id, lang (painless), params and options. Errors are
// *document.PathErrors.
func Parse(path string, v any) (*Script, error) {
	fail := func(key, kind, reason string) (*Script, error) {
		return nil, &document.PathError{Path: document.Join(path, key), Err: document.NewError(http.StatusBadRequest, kind, reason)}
	}
	if source, ok := v.(string); ok {
		return &Script{Source: source}, nil
	}
	o, ok := v.(*document.Object)
	if !ok {
		return nil, &document.PathError{Path: path, Err: document.NewError(http.StatusBadRequest, "x_content_parse_exception",
			"[script] expected a string or an object, but found "+document.Kind(v))}
	}
	s := &Script{}
	lang := ""
	for key, v := range o.All() {
		text, isText := v.(string)
		object, isObject := v.(*document.Object)
		switch key {
		case "source", "inline":
			if !isText || s.Source != "" {
				return fail(key, "x_content_parse_exception", "[script] failed to parse field ["+key+"]: expected one string, but found "+document.Kind(v))
			}
			s.Source = text
		case "id", "stored":
			if !isText || s.ID != "" {
				return fail(key, "x_content_parse_exception", "[script] failed to parse field ["+key+"]: expected one string, but found "+document.Kind(v))
			}
			s.ID = text
		case "lang":
			if !isText {
				return fail(key, "x_content_parse_exception", "[script] lang doesn't support values of type: "+document.Kind(v))
			}
			lang = text
		case "params":
			if !isObject {
				return fail(key, "x_content_parse_exception", "[script] params doesn't support values of type: "+document.Kind(v))
			}
			s.Params = object
		case "options":
			if !isObject {
				return fail(key, "x_content_parse_exception", "[script] options doesn't support values of type: "+document.Kind(v))
			}
			s.Options = object
		default:
			return fail(key, "x_content_parse_exception", "[script] unknown field ["+key+"]")
		}
	}
	_, hasSource := o.Get("source")
	_, hasInline := o.Get("inline")
	switch {
	case !hasSource && !hasInline && s.ID == "":
		return fail("", "illegal_argument_exception", "must specify either [source] for an inline script or [id] for a stored script")
	case (hasSource || hasInline) && s.ID != "":
		return fail("", "illegal_argument_exception", "cannot specify both [source] and [id]")
	case s.ID != "" && lang != "":
		return fail("lang", "illegal_argument_exception", "illegally specified <lang> for a stored script")
	case lang != "" && lang != "painless":
		return fail("lang", "illegal_argument_exception", "script_lang not supported ["+lang+"]")
	}
	return s, nil
}

// Value is the script as Elastic's GET shows it.
func (s *Script) Value() *document.Object {
	o := document.NewObject()
	if s.ID != "" {
		o.Set("id", s.ID)
	} else {
		o.Set("source", s.Source).Set("lang", "painless")
	}
	if s.Options.Len() > 0 {
		o.Set("options", s.Options)
	}
	if s.Params.Len() > 0 {
		o.Set("params", s.Params)
	}
	return o
}
