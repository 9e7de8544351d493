package watcher

import (
	"context"

	"pharos/watcher/document"
)

// input loads the payload of an execution.
type input interface {
	kind() string
	value() any // as it stands under its kind
	secrets() []string
	load(ctx context.Context, x *execution, payload *document.Object) inputResult
}

// inputResult is what an input came to.
type inputResult struct {
	kind    string
	payload *document.Object
	err     error            // it failed; payload is then nil
	detail  *document.Object // under the kind, or nil
}

func (r inputResult) document() *document.Object {
	o := document.NewObject(document.Pair{Key: "type", Value: r.kind})
	if r.err != nil {
		_, object := document.ErrorObject(r.err)
		o.Set("status", "failure").Set("error", object)
	} else {
		o.Set("status", "success").Set("payload", r.payload)
	}
	if r.detail != nil {
		o.Set(r.kind, r.detail)
	}
	return o
}

func inputValue(i input) *document.Object {
	return document.NewObject(document.Pair{Key: i.kind(), Value: i.value()})
}

func (p *parser) input(path string, v any) (input, error) {
	about := subject("could not parse input for watch [" + p.id + "]. ")
	if _, ok := v.(*document.Object); !ok {
		return nil, about.at(path, "expected an object representing the input, but found [%s] instead", document.Token(v))
	}
	kind, body, err := single(path, v, about, "input", "expected field indicating the input type, but found an empty object instead")
	if err != nil {
		return nil, err
	}
	path = document.Join(path, kind)
	o, isObject := body.(*document.Object)
	switch kind {
	case "none", "simple", "search", "http", "chain":
		if !isObject {
			return nil, about.at(path, "expected an object representing input [%s], but found [%s] instead", kind, document.Token(body))
		}
	}
	switch kind {
	case "none":
		return noInput{}, empty(path, body, subject("could not parse [none] input for watch ["+p.id+"]. "))
	case "simple":
		return &simpleInput{o}, nil
	case "search":
		s, err := p.search(path, body, "input")
		if err != nil {
			return nil, err
		}
		return &searchInput{s}, nil
	case "http":
		return p.httpInput(path, o)
	case "chain":
		return p.chainInput(path, o)
	default:
		return nil, about.at(path, "unknown input type [%s]", kind)
	}
}

type noInput struct{}

func (noInput) kind() string      { return "none" }
func (noInput) value() any        { return document.NewObject() }
func (noInput) secrets() []string { return nil }
func (noInput) load(context.Context, *execution, *document.Object) inputResult {
	return inputResult{kind: "none", payload: document.NewObject()}
}

type simpleInput struct{ data *document.Object }

func (i *simpleInput) kind() string      { return "simple" }
func (i *simpleInput) value() any        { return i.data }
func (i *simpleInput) secrets() []string { return nil }
func (i *simpleInput) load(context.Context, *execution, *document.Object) inputResult {
	return inputResult{kind: "simple", payload: i.data.Clone()}
}

type searchInput struct{ search *search }

func (i *searchInput) kind() string      { return "search" }
func (i *searchInput) value() any        { return i.search.value() }
func (i *searchInput) secrets() []string { return nil }
func (i *searchInput) load(ctx context.Context, x *execution, payload *document.Object) inputResult {
	found, detail, err := i.search.run(ctx, x, payload)
	return inputResult{kind: "search", payload: found, detail: detail, err: err}
}

// chainInput loads inputs one after the other; each sees what came before it.
type chainInput struct{ parts []namedInput }

type namedInput struct {
	name  string
	input input
}

func (p *parser) chainInput(path string, o *document.Object) (input, error) {
	about := subject("could not parse [chain] input for watch [" + p.id + "]. ")
	chain := &chainInput{}
	for key := range o.All() {
		if key != "inputs" {
			return nil, about.at(document.Join(path, key), "unexpected field [%s]", key)
		}
	}
	v, ok := o.Get("inputs")
	if !ok {
		return chain, nil
	}
	path = document.Join(path, "inputs")
	list, ok := v.([]any)
	if !ok {
		return nil, about.at(path, "expected an array of inputs, but found [%s] instead", document.Token(v))
	}
	for i, v := range list {
		at := document.Index(path, i)
		if one, ok := v.(*document.Object); ok && one.Len() > 1 {
			return nil, document.Errorf(at, "Expected closing JSON object after parsing input named [%s] in watch [%s]", one.Keys()[0], p.id)
		}
		name, body, err := single(at, v, about, "input", "expected an object with the name of an input")
		if err != nil {
			return nil, err
		}
		part, err := p.input(document.Join(at, name), body)
		if err != nil {
			return nil, err
		}
		chain.parts = append(chain.parts, namedInput{name, part})
	}
	return chain, nil
}

func (i *chainInput) kind() string { return "chain" }

func (i *chainInput) value() any {
	list := []any{}
	for _, part := range i.parts {
		list = append(list, document.NewObject(document.Pair{Key: part.name, Value: inputValue(part.input)}))
	}
	return document.NewObject(document.Pair{Key: "inputs", Value: list})
}

func (i *chainInput) secrets() []string {
	var paths []string
	for n, part := range i.parts {
		at := document.Join(document.Join("inputs", itoa(n)), part.name)
		for _, path := range part.input.secrets() {
			paths = append(paths, document.Join(document.Join(at, part.input.kind()), path))
		}
	}
	return paths
}

// load goes on where a part fails, as Elastic's does: that part's payload is
// then empty, and the record says why.
func (i *chainInput) load(ctx context.Context, x *execution, _ *document.Object) inputResult {
	payload, detail := document.NewObject(), document.NewObject()
	for _, part := range i.parts {
		r := part.input.load(ctx, x, payload)
		detail.Set(part.name, r.document())
		if r.err != nil {
			r.payload = document.NewObject()
		}
		payload.Set(part.name, r.payload)
	}
	return inputResult{kind: "chain", payload: payload, detail: detail}
}
