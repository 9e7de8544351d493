package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pairs is a mapping in the order of the document.
type pairs[T any] []pair[T]

type pair[T any] struct {
	name  string
	value T
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *pairs[T]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: not a mapping", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		var value T
		if err := node.Content[i+1].Decode(&value); err != nil {
			return err
		}
		*p = append(*p, pair[T]{node.Content[i].Value, value})
	}
	return nil
}

// All calls yield with each name and value, in order.
func (p pairs[T]) All(yield func(string, T) bool) {
	for _, one := range p {
		if !yield(one.name, one.value) {
			return
		}
	}
}

// maxDepth is deeper than the document is: beyond it a reference leads back to
// itself.
const maxDepth = 64

// resolve returns a copy of node in which aliases and references to the document
// are replaced by what they name.
func resolve(node, root *yaml.Node, depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: a reference leads back to itself", node.Line)
	}
	if node.Kind == yaml.AliasNode {
		return resolve(node.Alias, root, depth+1)
	}
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "$ref" {
		target, err := find(root, node.Content[1].Value)
		if err != nil {
			return nil, err
		}
		return resolve(target, root, depth+1)
	}
	out := *node
	out.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		var err error
		if out.Content[i], err = resolve(child, root, depth+1); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// find follows a reference such as #/components/schemas/User.
func find(root *yaml.Node, ref string) (*yaml.Node, error) {
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, fmt.Errorf("%s is not a reference within the document", ref)
	}
	at := root
	for name := range strings.SplitSeq(rest, "/") {
		next := child(at, name)
		if next == nil {
			return nil, fmt.Errorf("%s leads nowhere", ref)
		}
		at = next
	}
	return at, nil
}

func child(node *yaml.Node, name string) *yaml.Node {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// Value is any value of the document, such as an example.
type Value struct{ node *yaml.Node }

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *Value) UnmarshalYAML(node *yaml.Node) error {
	v.node = node
	return nil
}

// Text is a string as it is, anything else as JSON, and "" for no value.
func (v Value) Text() (string, error) {
	if v.node == nil || v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!str" {
		return v.scalar(), nil
	}
	return v.JSON()
}

func (v Value) scalar() string {
	if v.node == nil {
		return ""
	}
	return v.node.Value
}

// JSON is the value in JSON, indented by two spaces, "" for no value.
func (v Value) JSON() (string, error) {
	if v.node == nil {
		return "", nil
	}
	text, err := appendJSON(nil, v.node, "")
	return string(text), err
}

// Compact is the value in JSON on one line, "" for no value.
func (v Value) Compact() (string, error) {
	text, err := v.JSON()
	if err != nil || text == "" {
		return "", err
	}
	var out bytes.Buffer
	err = json.Compact(&out, []byte(text))
	return out.String(), err
}

// appendJSON writes a node as JSON; encoding/json would lose the order.
func appendJSON(to []byte, node *yaml.Node, indent string) ([]byte, error) {
	inner := indent + "  "
	var err error
	switch {
	case node.Kind == yaml.AliasNode:
		return appendJSON(to, node.Alias, indent)
	case node.Kind == yaml.MappingNode && len(node.Content) > 0:
		for i := 0; i+1 < len(node.Content); i += 2 {
			to = append(to, opening('{', i)+"\n"+inner...)
			if to, err = appendScalar(to, node.Content[i].Value); err != nil {
				return nil, err
			}
			if to, err = appendJSON(append(to, ": "...), node.Content[i+1], inner); err != nil {
				return nil, err
			}
		}
		return append(to, "\n"+indent+"}"...), nil
	case node.Kind == yaml.SequenceNode && len(node.Content) > 0:
		for i, one := range node.Content {
			to = append(to, opening('[', i)+"\n"+inner...)
			if to, err = appendJSON(to, one, inner); err != nil {
				return nil, err
			}
		}
		return append(to, "\n"+indent+"]"...), nil
	case node.Kind == yaml.MappingNode:
		return append(to, "{}"...), nil
	case node.Kind == yaml.SequenceNode:
		return append(to, "[]"...), nil
	case node.Tag == "!!str":
		return appendScalar(to, node.Value)
	}
	var v any
	if err := node.Decode(&v); err != nil {
		return nil, err
	}
	return appendScalar(to, v)
}

func opening(bracket byte, i int) string {
	if i == 0 {
		return string(bracket)
	}
	return ","
}

func appendScalar(to []byte, v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return append(to, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...), nil
}
