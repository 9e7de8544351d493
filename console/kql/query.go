package kql

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pharos/elastic"
	"pharos/watcher/datemath"
)

// Kind is what Elasticsearch can do with a field.
type Kind string

// The kinds. A field of another one, or of none, is compared as it is.
const (
	Text      Kind = "text"
	Keyword   Kind = "keyword"
	Number    Kind = "number"
	Date      Kind = "date"
	IP        Kind = "ip"
	Boolean   Kind = "boolean"
	Flattened Kind = "flattened" // a field inside of a flattened one
)

// Options is what a query needs to know about the documents and the reader.
type Options struct {
	// Kind is the kind of a field, "" if it has none; nil: no field has one.
	Kind func(field string) Kind
	// Zone is where dates without a zone are, as Elasticsearch's time_zone takes
	// it (Europe/Berlin, +01:00); empty is UTC.
	Zone string
}

// identifying are the fields that a text without a field is looked for in,
// besides those of running text: a pasted id, path or address finds its lines.
func identifying() []string {
	return []string{
		"service.name", "service.node.name", "log.logger", "error.type", "error.code", "http.route", "url.path", "url.original",
		"trace.id", "transaction.id", "http.request.id", "user.id", "client.ip", "data_stream.dataset",
	}
}

// running are the fields of running text.
func running() []string { return []string{"message", "error.message"} }

// Elastic returns the query for Elasticsearch, to be used as a filter. Its
// errors are *SyntaxError: a value or an operator that the field's kind has no
// use for.
func (q *Query) Elastic(o Options) (elastic.Query, error) {
	if o.Kind == nil {
		o.Kind = func(string) Kind { return "" }
	}
	if q.root == nil {
		return elastic.Query{"match_all": elastic.Query{}}, nil
	}
	b := builder{query: q, options: o}
	return b.node(q.root)
}

type builder struct {
	query   *Query
	options Options
}

func (b builder) node(n node) (elastic.Query, error) {
	switch n := n.(type) {
	case *group:
		parts := make([]elastic.Query, 0, len(n.parts))
		for _, part := range n.parts {
			query, err := b.node(part)
			if err != nil {
				return nil, err
			}
			parts = append(parts, query)
		}
		if n.and {
			return elastic.Query{"bool": elastic.Query{"filter": parts}}, nil
		}
		return anyOf(parts), nil
	case *negation:
		query, err := b.node(n.part)
		if err != nil {
			return nil, err
		}
		return elastic.Query{"bool": elastic.Query{"must_not": []elastic.Query{query}}}, nil
	case *condition:
		return b.condition(n)
	}
	return elastic.Query{"match_none": elastic.Query{}}, nil
}

func anyOf(parts []elastic.Query) elastic.Query {
	return elastic.Query{"bool": elastic.Query{"should": parts, "minimum_should_match": 1}}
}

func (b builder) condition(c *condition) (elastic.Query, error) {
	switch {
	case c.field == "" || c.field == "*":
		return freeText(c.value), nil
	case c.operator != ":":
		return b.compare(c)
	case c.value.any():
		return elastic.Query{"exists": elastic.Query{"field": c.field}}, nil
	}
	return b.equal(c)
}

func freeText(v value) elastic.Query {
	switch {
	case v.any():
		return elastic.Query{"match_all": elastic.Query{}}
	case v.pattern != "":
		var parts []elastic.Query
		for _, field := range running() {
			parts = append(parts, words(field, v))
		}
		for _, field := range []string{"service.name", "http.route", "url.path"} {
			parts = append(parts, wildcard(field, v.pattern, false))
		}
		return anyOf(parts)
	}
	query := elastic.Query{"query": v.text, "fields": append(running(), identifying()...), "lenient": true}
	if v.quoted {
		query["type"] = "phrase"
	} else {
		query["operator"] = "and"
	}
	return elastic.Query{"multi_match": query}
}

func wildcard(field, pattern string, anyCase bool) elastic.Query {
	query := elastic.Query{"value": pattern}
	if anyCase {
		query["case_insensitive"] = true
	}
	return elastic.Query{"wildcard": elastic.Query{field: query}}
}

// words asks a field of running text for all words of a value with wildcards:
// the field's terms are single words in lower case.
func words(field string, v value) elastic.Query {
	var parts []elastic.Query
	for _, word := range strings.Fields(v.pattern) {
		if strings.Contains(strings.ReplaceAll(word, `\*`, ""), "*") {
			parts = append(parts, wildcard(field, word, true))
		} else {
			parts = append(parts, match(field, unescape(word)))
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return elastic.Query{"bool": elastic.Query{"filter": parts}}
}

// unescape is what a pattern without wildcards means.
func unescape(pattern string) string {
	return strings.NewReplacer(`\\`, `\`, `\*`, `*`, `\?`, `?`).Replace(pattern)
}

func match(field, text string) elastic.Query {
	return elastic.Query{"match": elastic.Query{field: elastic.Query{"query": text, "operator": "and", "lenient": true}}}
}

func (b builder) equal(c *condition) (elastic.Query, error) {
	kind, v := b.options.Kind(c.field), c.value
	if v.pattern != "" {
		switch kind {
		case Text:
			return words(c.field, v), nil
		case Number:
			return nil, b.fail(c, "%s is a number: expected one, or a comparison such as >= 500, and no wildcard", c.field)
		case Date:
			return nil, b.fail(c, "%s is a date: expected one, or a comparison such as > now-1h, and no wildcard", c.field)
		case IP:
			return nil, b.fail(c, "%s is an address: expected one, or a network such as 10.0.0.0/8, and no wildcard", c.field)
		case Boolean:
			return nil, b.fail(c, "%s is either true or false", c.field)
		case Flattened:
			start, found := strings.CutSuffix(v.pattern, "*")
			if !found || strings.Contains(strings.ReplaceAll(start, `\*`, ""), "*") {
				return nil, b.fail(c, "%s is a label: expected a wildcard at the end only", c.field)
			}
			return elastic.Query{"prefix": elastic.Query{c.field: elastic.Query{"value": unescape(start)}}}, nil
		}
		return wildcard(c.field, v.pattern, false), nil
	}
	if err := b.check(c, kind); err != nil {
		return nil, err
	}
	switch {
	case kind == Text && v.quoted:
		return elastic.Query{"match_phrase": elastic.Query{c.field: v.text}}, nil
	case kind == Date: // a day is all of its moments
		return b.within(c.field, kind, elastic.Query{"gte": v.text, "lte": v.text}), nil
	}
	return match(c.field, v.text), nil
}

func (b builder) compare(c *condition) (elastic.Query, error) {
	kind := b.options.Kind(c.field)
	switch kind {
	case Text, Boolean:
		return nil, b.fail(c, "%s has no order: expected : instead of %s", c.field, c.operator)
	}
	if err := b.check(c, kind); err != nil {
		return nil, err
	}
	bound := map[string]string{"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[c.operator]
	return b.within(c.field, kind, elastic.Query{bound: c.value.text}), nil
}

func (b builder) within(field string, kind Kind, bounds elastic.Query) elastic.Query {
	if kind == Date && b.options.Zone != "" {
		bounds["time_zone"] = b.options.Zone
	}
	return elastic.Query{"range": elastic.Query{field: bounds}}
}

// check refuses what Elasticsearch would refuse with less helpful words, or
// would silently take for nothing.
func (b builder) check(c *condition, kind Kind) error {
	text := c.value.text
	switch kind {
	case Number:
		_, err := strconv.ParseFloat(text, 64)
		if err != nil || !json.Valid([]byte(text)) { // leaves out NaN, 0x1p4 and 1_000
			return b.fail(c, "%s is a number: expected one behind %s", c.field, c.operator)
		}
	case Date:
		if _, err := datemath.Resolve(text, time.Unix(0, 0)); err != nil {
			return b.fail(c, `%s is a date: expected one such as "2026-11-21T10:00:00Z", 2026-11-21 or now-15m behind %s`, c.field, c.operator)
		}
	case IP:
		_, addrErr := netip.ParseAddr(text)
		_, netErr := netip.ParsePrefix(text)
		if addrErr != nil && (netErr != nil || c.operator != ":") {
			return b.fail(c, "%s is an address: expected one, or a network such as 10.0.0.0/8 behind :", c.field)
		}
	case Boolean:
		if text != "true" && text != "false" {
			return b.fail(c, "%s is either true or false", c.field)
		}
	}
	return nil
}

func (b builder) fail(c *condition, format string, args ...any) error {
	p := parser{source: b.query.source}
	return p.fail(c.start, format, args...)
}
