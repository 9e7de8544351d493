package mustache

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"pharos/watcher/document"
)

// maxSteps bounds the work of sections in sections that write nothing.
const maxSteps = 1_000_000

// machine writes a template's nodes. Its scopes are the model and, inside
// sections, what they are about, the innermost last.
type machine struct {
	ctx    context.Context
	escape escape
	scopes []any
	out    *strings.Builder
	size   *int // of all that was written, also by functions for themselves
	steps  *int
}

func render(ctx context.Context, nodes []node, e escape, model *document.Object) (string, error) {
	var out strings.Builder
	size, steps := 0, 0
	m := &machine{ctx: ctx, escape: e, scopes: []any{model}, out: &out, size: &size, steps: &steps}
	if err := m.run(nodes); err != nil {
		return "", err
	}
	return out.String(), nil
}

func (m *machine) run(nodes []node) error {
	for _, n := range nodes {
		*m.steps++
		if *m.steps > maxSteps {
			return document.NewError(400, "general_script_exception", fmt.Sprintf("Error running the template: more than %d steps", maxSteps))
		}
		if *m.steps%1024 == 0 {
			if err := m.ctx.Err(); err != nil {
				return fmt.Errorf("render template: %w", err)
			}
		}
		if err := m.node(n); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) node(n node) error {
	switch n.kind {
	case text:
		return m.write(n.name)
	case block:
		return m.run(n.body)
	case url:
		for _, b := range n.body {
			written, err := m.capture([]node{b})
			if err != nil {
				return err
			}
			if err := m.write(escapeForm(written)); err != nil {
				return err
			}
		}
		return nil
	}
	v, err := m.find(n)
	if err != nil {
		return err
	}
	switch n.kind {
	case value:
		if v == nil {
			return nil
		}
		if n.raw {
			return m.write(printed(v))
		}
		return m.write(m.escape(printed(v)))
	case section:
		return m.section(n, v)
	case inverted:
		if falsy(v) {
			return m.run(n.body)
		}
		return nil
	case toJSON:
		return m.toJSON(v)
	default:
		return m.join(n, v)
	}
}

func (m *machine) write(s string) error {
	*m.size += len(s)
	if *m.size > maxOutput {
		return document.NewError(400, "parse_exception", "Mustache script result size limit exceeded")
	}
	m.out.WriteString(s)
	return nil
}

// capture is what nodes write.
func (m *machine) capture(nodes []node) (string, error) {
	var out strings.Builder
	inner := *m
	inner.out = &out
	err := inner.run(nodes)
	return out.String(), err
}

// section writes its body for each element of a list, or once for whatever else
// is there. false, an empty string and what is absent are not there; 0 and an
// empty object are.
func (m *machine) section(n node, v any) error {
	list, ok := v.([]any)
	if !ok {
		if falsy(v) {
			return nil
		}
		list = []any{v}
	}
	depth := len(m.scopes)
	for _, e := range list {
		// null makes no scope of its own.
		if e != nil {
			m.scopes = append(m.scopes, e)
		}
		err := m.run(n.body)
		m.scopes = m.scopes[:depth]
		if err != nil {
			return err
		}
	}
	return nil
}

func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	default:
		return false
	}
}

// toJSON writes lists and objects as JSON and all else as it prints.
func (m *machine) toJSON(v any) error {
	switch v.(type) {
	case nil:
		return nil
	case []any, *document.Object:
		data, err := document.Marshal(v)
		if err != nil {
			return document.NewError(400, "mustache_exception", "Failed to convert object to JSON: "+err.Error())
		}
		return m.write(string(data))
	default:
		return m.write(printed(v))
	}
}

// join writes a list's elements with something between, and for all else the
// text of its argument.
func (m *machine) join(n node, v any) error {
	list, ok := v.([]any)
	if !ok {
		return m.run(n.body)
	}
	for i, e := range list {
		if e == nil {
			return running("null_pointer_exception", `Cannot invoke "Object.toString()" because "object" is null`)
		}
		if i > 0 {
			if err := m.write(n.join); err != nil {
				return err
			}
		}
		if err := m.write(document.String(e)); err != nil {
			return err
		}
	}
	return nil
}

// printed is how a value prints. A list that is a template's value prints by its
// indexes, {0=a, 1=b}, because Elasticsearch wraps it in a map; inside other
// values it prints as a list.
func printed(v any) string {
	list, ok := v.([]any)
	if !ok {
		return document.String(v)
	}
	o := document.NewObject()
	for i, e := range list {
		o.Set(strconv.Itoa(i), e)
	}
	return document.String(o)
}

// find looks a name up, from the innermost scope outwards. Where the first step
// of a dotted name is found in a scope, that scope has the answer unless a step
// in the middle is missing: that is mustache.java's way.
func (m *machine) find(n node) (any, error) {
	if n.name == "." {
		return m.scopes[len(m.scopes)-1], nil
	}
	for i := len(m.scopes) - 1; i >= 0; i-- {
		v, found, err := walk(m.scopes[i], n.name)
		if err != nil {
			reason := fmt.Sprintf("%s @[query-template:%d]", err.Error(), n.line)
			outer := document.NewError(400, "mustache_exception", fmt.Sprintf("Failed to get value for %s @[query-template:%d]", n.name, n.line))
			inner := document.NewError(400, "mustache_exception", reason)
			inner.Object.Set("caused_by", err.Object)
			outer.Object.Set("caused_by", inner.Object)
			return nil, runningBy(outer)
		}
		if found {
			return v, nil
		}
	}
	return nil, nil
}

// walk looks a name up in one scope. found tells that no outer scope is asked.
func walk(scope any, name string) (v any, found bool, err *document.Error) {
	v, found, err = member(scope, name)
	if found || err != nil || !strings.Contains(name, ".") {
		return v, found, err
	}
	for {
		step, rest, dotted := strings.Cut(name, ".")
		v, found, err = member(scope, step)
		switch {
		case err != nil:
			return nil, false, err
		case !dotted:
			return v, true, nil // or nothing, which ends the search as well
		case !found:
			return nil, false, nil
		case v == nil:
			return nil, true, nil
		}
		scope, name = v, rest
	}
}

// member is what an object has under a key, or a list at an index or as its
// size.
func member(scope any, name string) (v any, found bool, err *document.Error) {
	switch scope := scope.(type) {
	case *document.Object:
		v, found = scope.Get(name)
		return v, found, nil
	case []any:
		if name == "size" {
			return int64(len(scope)), true, nil
		}
		i, atoiErr := strconv.ParseInt(name, 10, 32)
		switch {
		case atoiErr != nil:
			return nil, false, nil
		case i < 0:
			return nil, false, document.NewError(400, "illegal_argument_exception", "position >= 0")
		case int(i) >= len(scope):
			return nil, false, document.NewError(400, "index_out_of_bounds_exception", strconv.FormatInt(i, 10))
		}
		return scope[i], scope[i] != nil, nil
	default:
		return nil, false, nil
	}
}

func running(kind, reason string) *document.Error {
	return runningBy(document.NewError(400, kind, reason))
}

func runningBy(cause *document.Error) *document.Error {
	e := document.NewError(400, "general_script_exception", "Error running the mustache template")
	e.Object.Set("caused_by", cause.Object)
	return e
}
