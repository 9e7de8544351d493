package watcher

import (
	"context"

	"pharos/watcher/document"
	"pharos/watcher/painless"
)

// condition decides whether a watch, or an action, goes on.
type condition interface {
	kind() string
	value() any // as it stands under its kind
	// check fails the whole execution by an error, as Elastic's does.
	check(ctx context.Context, x *execution) (conditionResult, error)
}

// conditionResult is what a check came to.
type conditionResult struct {
	kind     string
	met      bool
	resolved *document.Object // of the comparing conditions: what they looked at
}

func (r conditionResult) document() *document.Object {
	o := document.NewObject(
		document.Pair{Key: "type", Value: r.kind}, document.Pair{Key: "status", Value: "success"}, document.Pair{Key: "met", Value: r.met})
	if r.resolved != nil {
		o.Set(r.kind, document.NewObject(document.Pair{Key: "resolved_values", Value: r.resolved}))
	}
	return o
}

func conditionValue(c condition) *document.Object {
	return document.NewObject(document.Pair{Key: c.kind(), Value: c.value()})
}

func (p *parser) condition(path string, v any) (condition, error) {
	about := subject("could not parse condition for watch [" + p.id + "]. ")
	kind, body, err := single(path, v, about, "condition", "missing required condition type field")
	if err != nil {
		return nil, err
	}
	path = document.Join(path, kind)
	switch kind {
	case "always":
		return constant(true), empty(path, body, subject("unable to parse [always] condition for watch ["+p.id+"]. "))
	case "never":
		return constant(false), empty(path, body, subject("could not parse [never] condition for watch ["+p.id+"]. "))
	case "compare":
		return p.compare(path, body)
	case "array_compare":
		return p.arrayCompare(path, body)
	case "script":
		program, err := p.program(path, body, painless.Boolean)
		if err != nil {
			return nil, err
		}
		return &scriptCondition{program}, nil
	default:
		return nil, about.at(path, "unknown condition type [%s]", kind)
	}
}

// constant is the always and the never condition.
type constant bool

func (c constant) kind() string {
	if c {
		return "always"
	}
	return "never"
}

func (c constant) value() any { return document.NewObject() }

func (c constant) check(context.Context, *execution) (conditionResult, error) {
	return conditionResult{kind: c.kind(), met: bool(c)}, nil
}

type scriptCondition struct{ program *painless.Program }

func (c *scriptCondition) kind() string { return "script" }
func (c *scriptCondition) value() any   { return c.program.Script().Value() }

func (c *scriptCondition) check(ctx context.Context, x *execution) (conditionResult, error) {
	v, err := x.script(ctx, c.program, x.payload)
	if err != nil {
		return conditionResult{}, err
	}
	met, _ := v.(bool)
	return conditionResult{kind: c.kind(), met: met}, nil
}
