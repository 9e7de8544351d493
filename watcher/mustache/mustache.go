// Package mustache renders the templates of watches as Elastic's Watcher does:
// the dialect of mustache.java with Elasticsearch's functions (toJson, join,
// url), index access into arrays, and escaping by content type.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/how-watcher-works.html#templates
package mustache

import (
	"context"
	"fmt"
	"strings"

	"pharos/watcher/document"
)

// maxOutput is Elasticsearch's limit of what a template may become
// (mustache.max_output_size_bytes), in bytes.
const maxOutput = 1 << 20

// Renderer renders templates.
type Renderer struct {
	// Stored returns the source of a stored script by its id. Without it, stored
	// templates fail to render.
	Stored func(ctx context.Context, id string) (source string, err error)
}

// Render renders a text template: what stands in actions, e-mails and http
// requests. It escapes nothing, or with the prefix __json__:: (which is left
// out) as JSON. A name of the model wins over the same name in the template's
// params. Errors are *document.Error with Elastic's words.
func (r Renderer) Render(ctx context.Context, t *Template, model *document.Object) (string, error) {
	if t.id != "" {
		return r.stored(ctx, t, merged(t.params, model))
	}
	if t.plain {
		return t.text, nil
	}
	return render(ctx, t.nodes, t.escape, merged(t.params, model))
}

// RenderSearch renders the body of a search: it escapes as JSON, unless the
// template's options name another content type, and the template's params win
// over the model. Errors are as those of Render.
func (r Renderer) RenderSearch(ctx context.Context, t *Template, model *document.Object) (string, error) {
	if t.id != "" {
		return r.stored(ctx, t, merged(model, t.params))
	}
	escape, ok := escapes[t.contentType]
	if !ok {
		return "", document.NewError(400, "illegal_argument_exception", fmt.Sprintf("No encoder found for media type [%s]", t.contentType))
	}
	nodes := t.nodes
	if t.text != t.source { // a search knows no prefix
		var err error
		if nodes, err = compile(t.source); err != nil {
			return "", compileError(t.source, err)
		}
	} else if t.plain {
		return t.source, nil
	}
	return render(ctx, nodes, escape, merged(model, t.params))
}

// RenderValue renders every string inside a JSON value as a text template and
// returns a copy. The names of objects' keys stay as they are.
func (r Renderer) RenderValue(ctx context.Context, v any, model *document.Object) (any, error) {
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, "{{") {
			return v, nil
		}
		t, err := ParseTemplate("", v)
		if err != nil {
			return nil, err
		}
		return r.Render(ctx, t, model)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			var err error
			if list[i], err = r.RenderValue(ctx, e, model); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *document.Object:
		o := document.NewObject()
		for key, e := range v.All() {
			rendered, err := r.RenderValue(ctx, e, model)
			if err != nil {
				return nil, err
			}
			o.Set(key, rendered)
		}
		return o, nil
	default:
		return v, nil
	}
}

// stored renders a stored script. Elasticsearch keeps those with its default
// content type, JSON.
func (r Renderer) stored(ctx context.Context, t *Template, model *document.Object) (string, error) {
	if r.Stored == nil {
		return "", document.NewError(404, "resource_not_found_exception", fmt.Sprintf("unable to find script [%s] in cluster state", t.id))
	}
	source, err := r.Stored(ctx, t.id)
	if err != nil {
		return "", fmt.Errorf("read stored script [%s]: %w", t.id, err)
	}
	nodes, err := compile(source)
	if err != nil {
		return "", compileError(source, err)
	}
	return render(ctx, nodes, escapeJSON, model)
}

// merged is one object with the keys of both, those of the second winning.
func merged(first, second *document.Object) *document.Object {
	if first.Len() == 0 {
		return second
	}
	o := document.NewObject()
	for _, part := range []*document.Object{first, second} {
		for key, v := range part.All() {
			o.Set(key, v)
		}
	}
	return o
}

func compileError(source string, err error) *document.Error {
	e := document.NewError(400, "general_script_exception", fmt.Sprintf("Failed to compile inline script [%s] using lang [mustache]", source))
	e.Object.Set("caused_by", document.NewError(400, "mustache_exception", err.Error()).Object)
	return e
}
