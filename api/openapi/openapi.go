// Package openapi holds the document of the public API: openapi.yaml, which is
// part of the binary, and what pages need to know of it.
package openapi

import (
	_ "embed" // openapi.yaml
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var source []byte

// YAML returns the document as it is written: OpenAPI 3.1
// (https://spec.openapis.org/oas/v3.1.0).
func YAML() []byte { return slices.Clone(source) }

// Document is the part of the document that pages show. References are resolved
// in it, and everything is in the order of the document.
type Document struct {
	Info       Info        `yaml:"info"`
	Tags       []Tag       `yaml:"tags"`
	Paths      pairs[path] `yaml:"paths"`
	Components components  `yaml:"components"`
	Problems   []Problem   `yaml:"x-problems"`
	Operations []Operation `yaml:"-"`
	root       *yaml.Node
}

// Info says what the API is.
type Info struct {
	Title       string `yaml:"title"`
	Version     string `yaml:"version"`
	Summary     string `yaml:"summary"`
	Description string `yaml:"description"`
}

// Tag is a group of operations.
type Tag struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

type components struct {
	Schemes pairs[Scheme] `yaml:"securitySchemes"`
	Headers pairs[Header] `yaml:"headers"`
}

// Scheme is a way to say who asks.
type Scheme struct {
	Name        string `yaml:"-"`
	Type        string `yaml:"type"`
	Header      string `yaml:"name"` // of an apiKey
	Description string `yaml:"description"`
}

// Header is a header of an answer.
type Header struct {
	Name        string `yaml:"-"`
	Description string `yaml:"description"`
	Example     Value  `yaml:"example"`
}

type path struct {
	Parameters []Parameter
	Operations []Operation
}

// UnmarshalYAML implements yaml.Unmarshaler: a path item's methods are its keys.
func (p *path) UnmarshalYAML(node *yaml.Node) error {
	var all pairs[yaml.Node]
	if err := node.Decode(&all); err != nil {
		return err
	}
	for _, one := range all {
		var err error
		if one.name == "parameters" {
			err = one.value.Decode(&p.Parameters)
		} else {
			op := Operation{Method: strings.ToUpper(one.name)}
			err = one.value.Decode(&op)
			p.Operations = append(p.Operations, op)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Operation is one method of a path.
type Operation struct {
	Method      string                `yaml:"-"`
	Path        string                `yaml:"-"` // with {name} for a parameter
	ID          string                `yaml:"operationId"`
	Tags        []string              `yaml:"tags"`
	Summary     string                `yaml:"summary"`
	Description string                `yaml:"description"`
	Security    []map[string][]string `yaml:"security"`
	Parameters  []Parameter           `yaml:"parameters"` // the path's included
	Body        *Body                 `yaml:"requestBody"`
	Responses   pairs[Response]       `yaml:"responses"`
}

// Parameter is what a path, a query or a header takes.
type Parameter struct {
	Name        string `yaml:"name"`
	In          string `yaml:"in"`
	Required    bool   `yaml:"required"`
	Description string `yaml:"description"`
	Schema      Schema `yaml:"schema"`
	Example     Value  `yaml:"example"`
}

// Body is the body of a request.
type Body struct {
	Content pairs[Media] `yaml:"content"`
}

// Response is an answer.
type Response struct {
	Description string        `yaml:"description"`
	Headers     pairs[Header] `yaml:"headers"`
	Content     pairs[Media]  `yaml:"content"`
}

// Media is a body in one media type.
type Media struct {
	Schema   Schema         `yaml:"schema"`
	Example  Value          `yaml:"example"`
	Examples pairs[example] `yaml:"examples"`
}

type example struct {
	Value Value `yaml:"value"`
}

// Sample is the first example, nil without one.
func (m Media) Sample() Value {
	if m.Example.node == nil && len(m.Examples) > 0 {
		return m.Examples[0].value.Value
	}
	return m.Example
}

// Problem is an entry of the catalogue of problems, an extension of ours.
type Problem struct {
	Code  string `yaml:"code"`
	Also  []int  `yaml:"also"` // statuses beside the code's own
	Cause string `yaml:"cause"`
	Cure  string `yaml:"cure"`
	// Retry is "no" where the request is not worth sending again, "changed"
	// where it is once changed, "later" where it is as it was.
	Retry string `yaml:"retry"`
	// Status and Title are of a problem that only nginx answers with.
	Status int    `yaml:"status"`
	Title  string `yaml:"title"`
}

// Parse reads the document.
func Parse() (*Document, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		return nil, fmt.Errorf("parse openapi.yaml: %w", err)
	}
	d := &Document{root: root.Content[0]}
	resolved, err := resolve(d.root, d.root, 0)
	if err != nil {
		return nil, fmt.Errorf("resolve openapi.yaml: %w", err)
	}
	if err := resolved.Decode(d); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	for _, p := range d.Paths {
		for _, op := range p.value.Operations {
			op.Path = p.name
			op.Parameters = slices.Concat(p.value.Parameters, op.Parameters)
			d.Operations = append(d.Operations, op)
		}
	}
	return d, nil
}

// JSON returns the document in JSON.
func (d *Document) JSON() ([]byte, error) { return appendJSON(nil, d.root, "") }
