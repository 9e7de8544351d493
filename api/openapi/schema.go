package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Schema is the part of a JSON Schema that the document uses and pages show.
type Schema struct {
	Type        oneOrMore     `yaml:"type"`
	Description string        `yaml:"description"`
	Format      string        `yaml:"format"`
	Pattern     string        `yaml:"pattern"`
	Const       Value         `yaml:"const"`
	Enum        []Value       `yaml:"enum"`
	Default     Value         `yaml:"default"`
	Minimum     Value         `yaml:"minimum"`
	Maximum     Value         `yaml:"maximum"`
	MinLength   int           `yaml:"minLength"`
	MaxLength   int           `yaml:"maxLength"`
	MaxItems    int           `yaml:"maxItems"`
	Required    []string      `yaml:"required"`
	Properties  pairs[Schema] `yaml:"properties"`
	Items       *Schema       `yaml:"items"`
	AnyOf       []Schema      `yaml:"anyOf"`
}

type oneOrMore []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *oneOrMore) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*o = oneOrMore{node.Value}
		return nil
	}
	return node.Decode((*[]string)(o))
}

// Field is one field of a body, however deep.
type Field struct {
	Name        string // as items[].author.id
	Type        string
	Required    bool
	Limits      string // in words; "" without any
	Description string
}

// Fields lists the fields of an object, or of the objects of an array, with
// those within them. Of alternatives it lists the first's.
func (s Schema) Fields() []Field { return s.fields("") }

func (s Schema) fields(prefix string) []Field {
	switch {
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].fields(prefix)
	case s.Items != nil:
		return s.Items.fields(prefix + "[].")
	}
	var out []Field
	for name, p := range s.Properties.All {
		out = append(out, Field{prefix + name, p.TypeName(), slices.Contains(s.Required, name), p.Limits(), p.Description})
		out = append(out, p.fields(strings.TrimSuffix(prefix+name, ".")+separator(p))...)
	}
	return out
}

func separator(s Schema) string {
	if s.Items != nil {
		return ""
	}
	return "."
}

// TypeName is the type in a word or two.
func (s Schema) TypeName() string {
	name := strings.Join(s.Type, " or ")
	switch {
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].TypeName()
	case s.Format == "date-time":
		return strings.Replace(name, "string", "time", 1)
	case s.Format == "uuid":
		return "UUID"
	case name == "":
		return "string" // constants and enumerations of the document are
	case s.Items != nil && len(s.Items.Properties) == 0 && len(s.Items.AnyOf) == 0:
		return "array of " + s.Items.TypeName() + "s"
	case s.Items != nil:
		return "array of objects"
	}
	return name
}

// Limits says in words which values are taken.
func (s Schema) Limits() string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	low, high := s.Minimum.scalar(), s.Maximum.scalar()
	switch {
	case s.Const.node != nil:
		add("always %s", orEmpty(s.Const.scalar()))
	case len(s.Enum) > 0:
		names := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			names[i] = orEmpty(v.scalar())
		}
		add("%s", strings.Join(names, ", "))
	case low != "" && high != "":
		add("%s to %s", low, high)
	case low != "":
		add("%s or more", low)
	}
	switch {
	case s.MinLength > 0 && s.MaxLength > 0:
		add("%d to %d characters", s.MinLength, s.MaxLength)
	case s.MinLength > 0:
		add("not empty")
	case s.MaxLength > 0:
		add("up to %d characters", s.MaxLength)
	}
	if s.MaxItems > 0 {
		add("up to %d", s.MaxItems)
	}
	if s.Pattern != "" {
		add("pattern %s", s.Pattern)
	}
	if d := s.Default.scalar(); d != "" {
		add("%s by default", d)
	}
	if s.Items != nil && len(s.Items.Enum) > 0 {
		add("%s", s.Items.Limits())
	}
	return strings.Join(out, "; ")
}

func orEmpty(text string) string {
	if text == "" {
		return "(empty)"
	}
	return text
}
