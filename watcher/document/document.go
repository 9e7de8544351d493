// Package document holds JSON values the way Elasticsearch's Java code holds
// them: objects keep the order of their keys, whole numbers stay whole, and
// everything prints as Java prints it. Watches, payloads and the context of
// scripts and templates are made of it.
//
// A value is nil, bool, string, int64, *big.Int (a whole number beyond int64),
// float64, time.Time (dates of the context; never made by Parse), []any or
// *Object.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Object is a JSON object that remembers the order of its keys. The zero value
// is empty and ready.
type Object struct {
	keys   []string
	values map[string]any
}

// Pair is one key of an object and its value.
type Pair struct {
	Key   string
	Value any
}

// NewObject returns an object of pairs, in their order.
func NewObject(pairs ...Pair) *Object {
	o := &Object{}
	for _, p := range pairs {
		o.Set(p.Key, p.Value)
	}
	return o
}

// Get returns the value of a key and whether the key is there. A nil object has
// none.
func (o *Object) Get(key string) (any, bool) {
	if o == nil {
		return nil, false
	}
	v, ok := o.values[key]
	return v, ok
}

// Set gives a key its value. A new key comes last.
func (o *Object) Set(key string, value any) *Object {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
	return o
}

// Delete removes a key.
func (o *Object) Delete(key string) {
	if _, ok := o.Get(key); !ok {
		return
	}
	delete(o.values, key)
	o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return k == key })
}

// Len is the number of keys.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.keys)
}

// Keys returns the keys in order.
func (o *Object) Keys() []string {
	if o == nil {
		return nil
	}
	return slices.Clone(o.keys)
}

// All goes through keys and values in order.
func (o *Object) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if o == nil {
			return
		}
		for _, k := range o.keys {
			if !yield(k, o.values[k]) {
				return
			}
		}
	}
}

// Clone copies a value with all that it holds.
func Clone(v any) any {
	switch v := v.(type) {
	case *Object:
		return v.Clone()
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = Clone(e)
		}
		return list
	default:
		return v
	}
}

// Clone copies the object with all that it holds.
func (o *Object) Clone() *Object {
	if o == nil {
		return nil
	}
	c := &Object{keys: slices.Clone(o.keys), values: maps.Clone(o.values)}
	for k, v := range c.values {
		c.values[k] = Clone(v)
	}
	return c
}

// MarshalJSON writes the keys in order. Characters of HTML stay as they are.
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := write(&b, o); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// UnmarshalJSON is ParseObject's.
func (o *Object) UnmarshalJSON(data []byte) error {
	parsed, err := ParseObject(data)
	if err != nil {
		return err
	}
	*o = *parsed
	return nil
}

// Marshal writes a value as compact JSON. Times are written as Elasticsearch
// does, in UTC with milliseconds; a number that is not finite is an error.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case *Object:
		if v == nil {
			b.WriteString("null")
			return nil
		}
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeScalar(b, k); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := write(b, v.values[k]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case time.Time:
		return writeScalar(b, v.UTC().Format(TimeLayout))
	case float64:
		text, err := jsonFloat(v)
		if err != nil {
			return err
		}
		b.WriteString(text)
		return nil
	default:
		return writeScalar(b, v)
	}
}

// TimeLayout is how Elasticsearch writes a date into JSON.
const TimeLayout = "2006-01-02T15:04:05.000Z07:00"

func writeScalar(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON value: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode ends with a newline
	return nil
}

// Parse reads one JSON value and nothing after it. A key that stands twice in
// one object is an error, as it is in Elasticsearch.
func Parse(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err != nil {
		return nil, at(data, d.InputOffset(), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, at(data, d.InputOffset(), fmt.Errorf("something stands after the value"))
	}
	return v, nil
}

// ParseObject is Parse for what must be an object.
func ParseObject(data []byte) (*Object, error) {
	v, err := Parse(data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, fmt.Errorf("expected a JSON object, found %s", Kind(v))
	}
	return o, nil
}

// maxDepth is Elasticsearch's limit of nested JSON (1,000 in its Jackson).
const maxDepth = 1000

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &PathError{Path: path, Reason: fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	token, err := d.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return parseObject(d, path, depth)
		}
		return parseArray(d, path, depth)
	case json.Number:
		return parseNumber(token)
	default:
		return token, nil
	}
}

func parseObject(d *json.Decoder, path string, depth int) (any, error) {
	o := &Object{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string)
		if _, ok := o.Get(key); ok {
			return nil, &PathError{Path: Join(path, key), Reason: fmt.Sprintf("Duplicate field '%s'", key)}
		}
		v, err := parseValue(d, Join(path, key), depth+1)
		if err != nil {
			return nil, err
		}
		o.Set(key, v)
	}
	_, err := d.Token()
	return o, err
}

func parseArray(d *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := parseValue(d, Index(path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func parseNumber(n json.Number) (any, error) {
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := n.Int64(); err == nil {
			return i, nil
		}
		if i, ok := new(big.Int).SetString(n.String(), 10); ok {
			return i, nil
		}
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("number %.40s: %w", n.String(), err)
	}
	return f, nil
}

// at adds the line and column of an offset to an error of reading.
func at(data []byte, offset int64, err error) error {
	before := data[:min(int(offset), len(data))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}
