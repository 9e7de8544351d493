// Package kql reads the console's search language, which is Kibana's KQL
// (https://www.elastic.co/docs/reference/query-languages/kql) for flat fields:
//
//	timeout                          a word, in the message or any identifying field
//	"connection refused"             a phrase
//	service.name: api                a field's value
//	url.path: /v1/*                  a wildcard; field: * is any value
//	http.response.status_code >= 500 ranges, with <, <=, >, >=
//	@timestamp > now-15m             date math and ISO dates
//	log.level: (error or warn)       several values of one field
//	not a: b and (c: d or e: f)      not binds tighter than and, and than or
//
// A backslash takes the meaning from \ ( ) : < > " * { } and from the words
// and, or, not. Four things differ from Kibana: several words are all needed, in
// any order (there, any of them is enough, which a list by time makes useless);
// the first word of a value may hold colons (/v1/follows/:handle, ::1);
// wildcards in a field's name, but for a lone *, are refused; and so are nested
// fields, which no stream of Pharos has.
//
// Whatever the input, the outcome is made of match, multi_match, match_phrase,
// range, wildcard, exists and bool queries alone.
package kql

import (
	"fmt"
	"unicode/utf8"
)

// What a query may be made of at most.
const (
	MaxLength = 4096 // bytes

	maxDepth   = 32
	maxClauses = 128
	// Each wildcard walks a field's dictionary, and each * in one multiplies the
	// states of the automaton that does.
	maxWildcards       = 16
	maxStars           = 8
	maxWildcardPattern = 512 // bytes
)

// SyntaxError says where a query can't be read.
type SyntaxError struct {
	// Column is the place in characters, counted from 1; one past the end if
	// something is missing there.
	Column int
	// Reason is what was expected there and what was found, or which limit is
	// passed: one sentence without its full stop.
	Reason string
}

// Error returns "column N: reason".
func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Reason) }

// Query is a query that was read. Its zero value is the empty one, which
// everything matches.
type Query struct {
	source string
	root   node // nil where the query is empty
}

// node is a part of a query: a *group, a *negation or a *condition.
type node interface {
	// span is where the part stands in the source, in bytes.
	span() (start, end int)
}

type place struct{ start, end int }

func (p place) span() (int, int) { return p.start, p.end }

// group is two or more parts, all (and) or any (or) of which are needed.
type group struct {
	place
	and    bool
	closed bool // stands in parentheses
	parts  []node
}

type negation struct {
	place
	part node
}

// condition compares a field with a value. Without a field it is free text.
type condition struct {
	place
	field    string
	operator string // ":", "<", "<=", ">" or ">="
	value    value
}

// value is what a field is compared with.
type value struct {
	text   string // with escapes resolved; a wildcard's stars stand as they are
	quoted bool
	// pattern is the value in the syntax of Elasticsearch's wildcard query; empty
	// where the value has no wildcard.
	pattern string
}

// any reports whether the value is a lone star.
func (v value) any() bool { return v.pattern == "*" }

// Parse reads a query. Its errors are *SyntaxError.
func Parse(source string) (*Query, error) {
	if len(source) > MaxLength {
		return nil, &SyntaxError{Column: 1, Reason: fmt.Sprintf("a query may have at most %d bytes, this one has %d", MaxLength, len(source))}
	}
	if !utf8.ValidString(source) {
		return nil, &SyntaxError{Column: 1, Reason: "the query is not valid UTF-8"}
	}
	p := &parser{source: source}
	p.space()
	if p.done() {
		return &Query{source: source}, nil
	}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if !p.done() {
		return nil, p.unexpected("and, or or the end")
	}
	return &Query{source: source, root: root}, nil
}

// Empty reports whether the query asks for nothing in particular.
func (q *Query) Empty() bool { return q.root == nil }

// Source is the query as it was given to Parse.
func (q *Query) Source() string { return q.source }

// Fields lists the fields that the query names, each once, in their order.
func (q *Query) Fields() []string {
	var fields []string
	seen := map[string]bool{"": true, "*": true}
	walk(q.root, false, func(c *condition, _ bool) {
		if !seen[c.field] {
			seen[c.field] = true
			fields = append(fields, c.field)
		}
	})
	return fields
}

// walk calls visit for each condition, and tells it whether that is negated.
func walk(n node, negated bool, visit func(c *condition, negated bool)) {
	switch n := n.(type) {
	case *group:
		for _, part := range n.parts {
			walk(part, negated, visit)
		}
	case *negation:
		walk(n.part, !negated, visit)
	case *condition:
		visit(n, negated)
	}
}
