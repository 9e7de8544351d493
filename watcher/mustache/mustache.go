// Package mustache renders the templates of watches as Elastic's Watcher does:
// mustache.java with Elasticsearch's functions (toJson, join, url), index access
// into arrays, and escaping by content type.
package mustache

import (
	"context"

	"pharos/watcher/document"
)

// Template is a template of a watch, compiled. It may be used by many goroutines.
type Template struct {
	value any
}

// ParseTemplate makes a template of what stands in a watch at path: a string, or
// a script object with source (or inline; a string, or an object whose JSON is
// the template) or id (or stored), and lang, params and options. Every error is a
// *document.PathError.
func ParseTemplate(path string, v any) (*Template, error) {
	return &Template{value: v}, nil
}

// Value is the template as Elastic's GET shows it.
func (t *Template) Value() any { return t.value }

// Renderer renders templates.
type Renderer struct {
	// Stored returns the source of a stored script by its id. Without it, stored
	// templates fail to render.
	Stored func(ctx context.Context, id string) (source string, err error)
}

// Render renders a text template: what stands in actions, e-mails and http
// requests. It escapes nothing, or with the prefix __json__:: as JSON. A name
// of the model wins over the same name in the template's params.
func (r Renderer) Render(ctx context.Context, t *Template, model *document.Object) (string, error) {
	return "", nil
}

// RenderSearch renders the body of a search: it escapes as JSON, unless the
// template's options name another content type, and the template's params win
// over the model.
func (r Renderer) RenderSearch(ctx context.Context, t *Template, model *document.Object) (string, error) {
	return "", nil
}

// RenderValue renders every string inside a JSON value as a text template and
// returns a copy. The names of objects' keys stay as they are.
func (r Renderer) RenderValue(ctx context.Context, v any, model *document.Object) (any, error) {
	return v, nil
}
