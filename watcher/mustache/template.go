package mustache

import (
	"fmt"
	"strings"

	"pharos/watcher/document"
)

// Template is a template of a watch, compiled. It may be used by many goroutines.
type Template struct {
	value  any
	params *document.Object

	id string // of a stored script; else:

	source      string // as written
	text        string // without its content type's prefix
	nodes       []node // of text
	plain       bool   // text holds no tag
	escape      escape // of the content type's prefix
	contentType string // of the options
}

const (
	jsonType      = "application/json"
	jsonUTF8      = "application/json; charset=UTF-8"
	jsonUTF8Lower = "application/json;charset=utf-8"
	plainType     = "text/plain"
	formType      = "application/x-www-form-urlencoded"
)

// ParseTemplate makes a template of what stands in a watch at path: a string, or
// a script object with source (or inline; a string, or an object whose JSON is
// the template) or id (or stored), and lang, params and options. Every error,
// those of the template's own syntax among them, is a *document.PathError.
func ParseTemplate(path string, v any) (*Template, error) {
	switch v := v.(type) {
	case string:
		t := &Template{value: v, source: v, contentType: jsonType}
		return t, t.compile(path)
	case *document.Object:
		return parseScript(path, v)
	default:
		return nil, document.Errorf(path, "a template must be a string or an object, but found %s", document.Kind(v))
	}
}

// Value is the template as Elastic's GET shows it.
func (t *Template) Value() any { return document.Clone(t.value) }

// compile looks at a content type's prefix (__json__::) as Elastic's
// TextTemplateEngine does, and compiles what follows.
func (t *Template) compile(path string) error {
	t.text, t.escape = t.source, escapeNothing
	if strings.HasPrefix(t.source, "__") {
		// Between the lines: a name has at least one letter.
		if end := strings.Index(t.source[min(3, len(t.source)):], "__::"); end >= 0 {
			end += 3
			if name := strings.ToLower(t.source[2:end]); name == "json" || strings.HasPrefix(name, jsonType) {
				t.escape = escapeJSON
			}
			// A longer name is taken for text.
			if end < 12 {
				t.text = t.source[end+len("__::"):]
			}
		}
	}
	if t.plain = !strings.Contains(t.text, "{{"); t.plain {
		return nil
	}
	nodes, err := compile(t.text)
	if err != nil {
		return &document.PathError{Path: path, Reason: "could not compile the mustache template", Err: document.NewError(400, "mustache_exception", err.Error())}
	}
	t.nodes = nodes
	return nil
}

// parseScript reads the object form, as org.elasticsearch.script.Script does.
func parseScript(path string, o *document.Object) (*Template, error) {
	var source, id, lang, options any
	t := &Template{contentType: jsonType}
	for key, v := range o.All() {
		at := document.Join(path, key)
		switch key {
		case "source", "inline":
			source = v
		case "id", "stored":
			text, ok := v.(string)
			if !ok || text == "" {
				return nil, document.Errorf(at, "[script] %s doesn't support values of type: %s", key, document.Kind(v))
			}
			id = text
		case "lang":
			text, ok := v.(string)
			if !ok {
				return nil, document.Errorf(at, "[script] lang doesn't support values of type: %s", document.Kind(v))
			}
			lang = text
		case "params":
			params, ok := v.(*document.Object)
			if !ok {
				return nil, document.Errorf(at, "[script] params doesn't support values of type: %s", document.Kind(v))
			}
			t.params = params
		case "options":
			if err := t.parseOptions(at, v); err != nil {
				return nil, err
			}
			options = v
		default:
			return nil, document.Errorf(at, "[script] unknown field [%s]", key)
		}
		if source != nil && id != nil {
			return nil, document.Errorf(at, "must only use one of [source, id] when specifying a script")
		}
	}
	value := document.NewObject()
	switch {
	case id != nil && lang != nil:
		return nil, document.Errorf(document.Join(path, "lang"), "illegally specified <lang> for a stored script")
	case id != nil && options != nil:
		return nil, document.Errorf(document.Join(path, "options"), "field [options] cannot be specified using a stored script")
	case id != nil:
		t.id = fmt.Sprint(id)
		value.Set("id", id)
	default:
		if err := t.setSource(path, o, source); err != nil {
			return nil, err
		}
		if lang == nil {
			lang = "mustache"
		}
		if _, isObject := source.(*document.Object); isObject && options == nil {
			options = document.NewObject(document.Pair{Key: "content_type", Value: jsonUTF8})
		}
		value.Set("source", source).Set("lang", lang)
		if options, ok := options.(*document.Object); ok && options.Len() > 0 {
			value.Set("options", options)
		}
	}
	if t.params.Len() > 0 {
		value.Set("params", t.params)
	}
	t.value = value
	return t, nil
}

func (t *Template) setSource(path string, o *document.Object, source any) error {
	key := "source"
	if _, ok := o.Get(key); !ok {
		key = "inline"
	}
	at := document.Join(path, key)
	switch source := source.(type) {
	case string:
		t.source = source
	case *document.Object:
		data, err := document.Marshal(source)
		if err != nil {
			return &document.PathError{Path: at, Reason: "[script] failed to parse field [source]", Err: err}
		}
		t.source = string(data)
	default:
		if _, ok := o.Get(key); ok {
			return document.Errorf(at, "[script] source doesn't support values of type: %s", document.Kind(source))
		}
		return document.Errorf(path, "must specify either [source] for an inline script or [id] for a stored script")
	}
	return t.compile(at)
}

func (t *Template) parseOptions(path string, v any) error {
	options, ok := v.(*document.Object)
	if !ok {
		return document.Errorf(path, "[script] options doesn't support values of type: %s", document.Kind(v))
	}
	for key, v := range options.All() {
		text, ok := v.(string)
		if key != "content_type" || !ok {
			return document.Errorf(document.Join(path, key), "illegal compiler options [{%s=%s}] specified", key, document.String(v))
		}
		t.contentType = text
	}
	return nil
}
