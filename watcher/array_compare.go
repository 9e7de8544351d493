package watcher

import (
	"context"

	"pharos/watcher/document"
)

// arrayCompareCondition compares what a path leads to in some or in all elements
// of a list.
type arrayCompareCondition struct {
	list  string // path of the list
	path  string // within an element; empty: the element itself
	op    operator
	with  any
	every bool
}

func (p *parser) arrayCompare(path string, v any) (condition, error) {
	about := subject("could not parse [array_compare] condition for watch [" + p.id + "]. ")
	o, ok := v.(*document.Object)
	if !ok {
		return nil, about.at(path, "expected an object but found [%s] instead", document.Token(v))
	}
	if o.Len() != 1 {
		return nil, about.at(path, "expected one field with the path of an array, but found %d", o.Len())
	}
	c := &arrayCompareCondition{}
	for list, v := range o.All() {
		c.list = list
		path = document.Join(path, list)
		body, ok := v.(*document.Object)
		if !ok {
			return nil, about.at(path, "expected an object for field [%s] but found [%s] instead", list, document.Token(v))
		}
		for key, v := range body.All() {
			if key == "path" {
				if c.path, ok = v.(string); !ok {
					return nil, about.at(document.Join(path, key), "expected a string for [path] but found [%s] instead", document.Token(v))
				}
				continue
			}
			op, ok := parseOperator(key)
			switch {
			case !ok:
				return nil, about.at(document.Join(path, key), "unknown comparison operator [%s]", key)
			case c.op != "":
				return nil, about.at(document.Join(path, key), "encountered duplicate comparison operator, but already saw [%s].", c.op)
			}
			c.op = op
			if err := c.parseOperand(document.Join(path, key), about, key, v); err != nil {
				return nil, err
			}
		}
	}
	if c.op == "" {
		return nil, about.at(path, "expected a field indicating the comparison operator")
	}
	return c, nil
}

func (c *arrayCompareCondition) parseOperand(path string, about subject, op string, v any) error {
	o, ok := v.(*document.Object)
	if !ok {
		return about.at(path, "expected an object for field [%s] but found [%s] instead", op, document.Token(v))
	}
	for key, v := range o.All() {
		switch {
		case key == "value":
			if err := c.op.takes(document.Join(path, key), about, c.list, v); err != nil {
				return err
			}
			c.with = v
		case key == "quantifier" && (v == "some" || v == "all"):
			c.every = v == "all"
		case key == "quantifier":
			return about.at(document.Join(path, key), "unknown comparison quantifier [%s]", document.String(v))
		default:
			return about.at(document.Join(path, key), "expected a field indicating the comparison value or comparison quantifier, but found [%s] instead", key)
		}
	}
	return nil
}

func (c *arrayCompareCondition) kind() string { return "array_compare" }

func (c *arrayCompareCondition) value() any {
	quantifier := "some"
	if c.every {
		quantifier = "all"
	}
	return document.NewObject(document.Pair{Key: c.list, Value: document.NewObject(
		document.Pair{Key: "path", Value: c.path},
		document.Pair{Key: string(c.op), Value: document.NewObject(
			document.Pair{Key: "value", Value: c.with}, document.Pair{Key: "quantifier", Value: quantifier})},
	)})
}

func (c *arrayCompareCondition) check(_ context.Context, x *execution) (conditionResult, error) {
	model := x.model(x.payload)
	result := conditionResult{kind: c.kind(), resolved: document.NewObject()}
	with, err := resolve(c.with, model, x.at, result.resolved)
	if err != nil {
		return result, err
	}
	found := document.At(model, c.list)
	list, ok := found.([]any)
	if !ok && found != nil {
		return result, document.NewError(500, "illegal_state_exception", "array path "+c.list+" did not evaluate to array, was "+document.String(found))
	}
	if list == nil {
		list = []any{}
	}
	result.resolved.Set(c.list, list)
	result.met = c.every
	for _, element := range list {
		if c.holds(document.At(element, c.path), with) != c.every {
			result.met = !c.every
			break
		}
	}
	return result, nil
}

// holds is the operator's but for not_eq, which here wants values that can be
// compared: null and 5 are neither equal nor not.
func (c *arrayCompareCondition) holds(a, b any) bool {
	if _, comparable := lenient(a, b); !comparable {
		return false
	}
	return c.op.holds(a, b)
}
