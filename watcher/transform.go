package watcher

import (
	"context"

	"pharos/watcher/document"
	"pharos/watcher/painless"
)

// transform makes a new payload of the one that is there.
type transform interface {
	kind() string
	value() any // as it stands under its kind
	apply(ctx context.Context, x *execution, payload *document.Object) transformResult
}

// transformResult is what a transform came to.
type transformResult struct {
	kind    string
	payload *document.Object
	err     error            // it failed; payload is then nil
	detail  *document.Object // under the kind, or nil
	inChain bool             // failed because a part of the chain did
}

func (r transformResult) document() *document.Object {
	status := "success"
	if r.err != nil || r.inChain {
		status = "failure"
	}
	o := document.NewObject(document.Pair{Key: "type", Value: r.kind}, document.Pair{Key: "status", Value: status})
	switch {
	case r.inChain:
		o.Set("reason", "chain").Set("error", "unknown")
	case r.err != nil:
		_, object := document.ErrorObject(r.err)
		o.Set("reason", document.At(object, "reason")).Set("error", object)
	default:
		o.Set("payload", r.payload)
	}
	if r.detail != nil {
		o.Set(r.kind, r.detail)
	}
	return o
}

func transformValue(t transform) *document.Object {
	return document.NewObject(document.Pair{Key: t.kind(), Value: t.value()})
}

// transform returns nil for an empty object, which Elastic takes for none.
func (p *parser) transform(path string, v any) (transform, error) {
	if o, ok := v.(*document.Object); ok && o.Len() == 0 {
		return nil, nil
	}
	about := subject("could not parse transform for watch [" + p.id + "], ")
	kind, body, err := single(path, v, about, "transform", "expected an object, but found ["+document.Token(v)+"]")
	if err != nil {
		return nil, err
	}
	path = document.Join(path, kind)
	switch kind {
	case "script":
		program, err := p.program(path, body, painless.Object)
		if err != nil {
			return nil, err
		}
		return &scriptTransform{program}, nil
	case "search":
		s, err := p.search(path, body, "transform")
		if err != nil {
			return nil, err
		}
		return &searchTransform{s}, nil
	case "chain":
		return p.chainTransform(path, body)
	default:
		return nil, about.at(path, "unknown transform type [%s]", kind)
	}
}

type scriptTransform struct{ program *painless.Program }

func (t *scriptTransform) kind() string { return "script" }
func (t *scriptTransform) value() any   { return t.program.Script().Value() }

func (t *scriptTransform) apply(ctx context.Context, x *execution, payload *document.Object) transformResult {
	v, err := x.script(ctx, t.program, payload)
	if err != nil {
		return transformResult{kind: t.kind(), err: err}
	}
	return transformResult{kind: t.kind(), payload: asPayload(v)}
}

// asPayload makes a payload of any value: what is no object stands under _value.
func asPayload(v any) *document.Object {
	if o, ok := v.(*document.Object); ok {
		return o
	}
	return document.NewObject(document.Pair{Key: "_value", Value: v})
}

type searchTransform struct{ search *search }

func (t *searchTransform) kind() string { return "search" }
func (t *searchTransform) value() any   { return t.search.value() }

func (t *searchTransform) apply(ctx context.Context, x *execution, payload *document.Object) transformResult {
	found, detail, err := t.search.run(ctx, x, payload)
	return transformResult{kind: t.kind(), payload: found, detail: detail, err: err}
}

type chainTransform struct{ parts []transform }

func (p *parser) chainTransform(path string, v any) (transform, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, document.Errorf(path, "could not parse [chain] transform for watch [%s]. expected an array of transform objects, but found [%s] instead", p.id, document.Token(v))
	}
	chain := &chainTransform{}
	for i, v := range list {
		at := document.Index(path, i)
		if _, ok := v.(*document.Object); !ok {
			return nil, document.Errorf(at, "could not parse [chain] transform for watch [%s]. expected a transform object, but found [%s] instead", p.id, document.Token(v))
		}
		t, err := p.transform(at, v)
		if err != nil {
			return nil, err
		}
		if t != nil {
			chain.parts = append(chain.parts, t)
		}
	}
	return chain, nil
}

func (t *chainTransform) kind() string { return "chain" }

func (t *chainTransform) value() any {
	list := []any{}
	for _, part := range t.parts {
		list = append(list, transformValue(part))
	}
	return list
}

func (t *chainTransform) apply(ctx context.Context, x *execution, payload *document.Object) transformResult {
	results := []any{}
	chain := transformResult{kind: t.kind(), payload: payload}
	for _, part := range t.parts {
		r := part.apply(ctx, x, chain.payload)
		results = append(results, r.document())
		chain.payload = r.payload
		if r.err != nil || r.inChain {
			chain.inChain, chain.payload = true, nil
			break
		}
	}
	chain.detail = document.NewObject(document.Pair{Key: "results", Value: results})
	return chain
}
