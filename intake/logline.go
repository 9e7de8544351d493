package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// What a line may have besides its length.
const (
	maxLineFields = 200
	maxLineDepth  = 12
	maxFieldName  = 256
	maxName       = 256 // of a service
	maxAhead      = 5 * time.Minute
)

// The stream of all lines, as its documents name it.
const (
	logsIndex   = "logs-external-default"
	logsDataset = "external"
)

// refusal is why a line was not taken, as the answer tells it.
type refusal struct {
	Line   int    `json:"line"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// Error is for the log: no value of the line is in it.
func (r *refusal) Error() string {
	if r.Field == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d: %s %s", r.Line, r.Field, r.Reason)
}

func refuse(field, reason string, args ...any) *refusal {
	if len(field) > maxFieldName {
		field = truncate(field, maxFieldName)
	}
	return &refusal{Field: field, Reason: fmt.Sprintf(reason, args...)}
}

// lineRules are what lines are held to, and what they get.
type lineRules struct {
	now                 time.Time
	maxAge              time.Duration
	sender              string
	environment, region string
}

// parse makes a line into a document: names with dots become objects, so that a
// field has one name only; what the endpoint knows is added.
func (rules lineRules) parse(line []byte) ([]byte, *refusal) {
	var given map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&given); err != nil || given == nil {
		return nil, refuse("", "is no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("", "has more than one JSON value")
	}
	root := tree{fields: map[string]any{}}
	if r := root.add(root.fields, given, "", 1); r != nil {
		return nil, r
	}
	doc := root.fields
	for name := range doc {
		switch {
		case name == "@timestamp":
		case strings.HasPrefix(name, "@"), strings.HasPrefix(name, "_"), name == "data_stream", name == "pharos":
			return nil, refuse(name, "is not a sender's to set")
		}
	}
	if r := rules.complete(doc); r != nil {
		return nil, r
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, refuse("", "can't be written as JSON")
	}
	return text, nil
}

// complete checks what must be there, and adds what may be left out.
func (rules lineRules) complete(doc map[string]any) *refusal {
	name, r := text(doc, "service.name")
	switch {
	case r != nil:
		return r
	case strings.TrimSpace(name) == "":
		return refuse("service.name", "is missing")
	case len(name) > maxName:
		return refuse("service.name", "may have at most %d bytes", maxName)
	}
	for _, field := range []string{"message", "log.level", "ecs.version", "service.environment", "cloud.region"} {
		if _, r := text(doc, field); r != nil {
			return r
		}
	}
	at := rules.now
	if given, ok := doc["@timestamp"]; ok {
		text, _ := given.(string)
		parsed, err := time.Parse(time.RFC3339Nano, text)
		switch {
		case err != nil:
			return refuse("@timestamp", "must be a time as in RFC 3339: 2026-01-05T02:00:00.000Z")
		case parsed.Before(rules.now.Add(-rules.maxAge)):
			return refuse("@timestamp", "is older than %s", rules.maxAge)
		case parsed.After(rules.now.Add(maxAhead)):
			return refuse("@timestamp", "is more than %s ahead", maxAhead)
		}
		at = parsed
	}
	doc["@timestamp"] = at.UTC().Format(time.RFC3339Nano)
	labels, ok := doc["labels"].(map[string]any)
	switch {
	case doc["labels"] == nil:
		labels = map[string]any{}
		doc["labels"] = labels
	case !ok:
		return refuse("labels", "must be an object")
	case labels["sender"] != nil:
		return refuse("labels.sender", "is not a sender's to set")
	}
	labels["sender"] = rules.sender
	doc["data_stream"] = map[string]any{"type": "logs", "dataset": logsDataset, "namespace": namespace}
	for field, value := range map[string]string{"ecs.version": "8.11.0", "service.environment": rules.environment, "cloud.region": rules.region} {
		if r := addText(doc, field, value); r != nil {
			return r
		}
	}
	return nil
}

// text returns the string at a path, "" where there is none.
func text(doc map[string]any, path string) (string, *refusal) {
	var at any = doc
	for part := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", refuse(path, "must be a string within objects")
		}
		if at, ok = object[part]; !ok || at == nil {
			return "", nil
		}
	}
	value, ok := at.(string)
	if !ok {
		return "", refuse(path, "must be a string")
	}
	return value, nil
}

// addText sets the string at a path of two parts unless there is one.
func addText(doc map[string]any, path, value string) *refusal {
	outer, inner, _ := strings.Cut(path, ".")
	object, ok := doc[outer].(map[string]any)
	if doc[outer] != nil && !ok {
		return refuse(outer, "must be an object")
	}
	if object == nil {
		object = map[string]any{}
		doc[outer] = object
	}
	if object[inner] == nil {
		object[inner] = value
	}
	return nil
}

// tree is a document that grows.
type tree struct {
	fields map[string]any
	count  int
}

// add puts the fields of an object into another one, names with dots as objects.
func (t *tree) add(into, object map[string]any, path string, depth int) *refusal {
	if depth > maxLineDepth {
		return refuse(path, "is nested deeper than %d", maxLineDepth)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) { // the same line gets the same answer
		at, level, full := into, depth, join(path, name)
		parts := strings.Split(name, ".")
		for i, part := range parts {
			if part == "" || len(name) > maxFieldName || strings.ContainsFunc(part, unusable) {
				return refuse(full, "is no usable name")
			}
			if i == len(parts)-1 {
				break
			}
			next, ok := at[part].(map[string]any)
			if at[part] != nil && !ok {
				return refuse(full, "is within something that is no object")
			}
			if next == nil {
				next = map[string]any{}
				at[part] = next
			}
			at, level = next, level+1
		}
		if r := t.set(at, parts[len(parts)-1], object[name], full, level); r != nil {
			return r
		}
	}
	return nil
}

func (t *tree) set(at map[string]any, name string, value any, path string, depth int) *refusal {
	if object, ok := value.(map[string]any); ok {
		inner, ok := at[name].(map[string]any)
		if at[name] != nil && !ok {
			return refuse(path, "is both a value and an object")
		}
		if inner == nil {
			inner = map[string]any{}
			at[name] = inner
		}
		return t.add(inner, object, path, depth+1)
	}
	if value == nil {
		return nil // no value is no field
	}
	if at[name] != nil {
		return refuse(path, "is there twice")
	}
	if r := t.weigh(value, path, depth); r != nil {
		return r
	}
	at[name] = value
	return nil
}

// weigh counts the fields of a value.
func (t *tree) weigh(value any, path string, depth int) *refusal {
	if depth > maxLineDepth {
		return refuse(path, "is nested deeper than %d", maxLineDepth)
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if r := t.weigh(item, path, depth+1); r != nil {
				return r
			}
		}
		return nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "" || len(name) > maxFieldName || strings.ContainsFunc(name, unusable) {
				return refuse(join(path, name), "is no usable name")
			}
			if r := t.weigh(v[name], join(path, name), depth+1); r != nil {
				return r
			}
		}
		return nil
	}
	if t.count++; t.count > maxLineFields {
		return refuse("", "has more than %d values", maxLineFields)
	}
	return nil
}

func unusable(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
