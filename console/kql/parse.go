package kql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser goes through the source once, from left to right.
type parser struct {
	source    string
	at        int
	clauses   int
	wildcards int
}

// special are the characters that end an unquoted word.
const special = `():<>"{}`

func (p *parser) done() bool { return p.at == len(p.source) }

func (p *parser) peek() rune {
	r, _ := utf8.DecodeRuneInString(p.source[p.at:])
	return r
}

func (p *parser) space() {
	for !p.done() {
		r, size := utf8.DecodeRuneInString(p.source[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += size
	}
}

// taken reports whether text comes next, and goes behind it.
func (p *parser) taken(text string) bool {
	if !strings.HasPrefix(p.source[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Column: utf8.RuneCountInString(p.source[:at]) + 1, Reason: fmt.Sprintf(format, args...)}
}

// unexpected is the error for whatever stands here instead of what was expected.
func (p *parser) unexpected(expected string) error {
	if p.done() {
		return p.fail(p.at, "expected %s, found the end", expected)
	}
	found := p.word()
	if found == "" {
		found = string(p.peek())
	}
	return p.fail(p.at, "expected %s, found %s", expected, found)
}

// word is what stands here up to the next space or special character, as it is
// written, and cut where it is long.
func (p *parser) word() string {
	rest := p.source[p.at:]
	end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(special, r) })
	if end < 0 {
		end = len(rest)
	}
	word := []rune(rest[:end])
	if len(word) > 40 {
		return string(word[:40]) + "…"
	}
	return string(word)
}

// keyword is the and, or or not that stands here, in lower case, or "".
func (p *parser) keyword() string {
	switch word := strings.ToLower(p.word()); word {
	case "and", "or", "not":
		return word
	}
	return ""
}

// operator goes behind the given keyword and the space around it.
func (p *parser) operator(keyword string) bool {
	p.space()
	if p.keyword() != keyword {
		return false
	}
	p.at += len(keyword)
	p.space()
	return true
}

// operand reads one part of a group; the outer query's and a list's differ.
type operand func(depth int) (node, error)

func (p *parser) or(depth int) (node, error)  { return p.either(depth, p.not) }
func (p *parser) not(depth int) (node, error) { return p.negated(depth, p.primary) }

// either reads parts that or joins, each of which is parts that and joins.
func (p *parser) either(depth int, of operand) (node, error) {
	return p.joined("or", depth, func(depth int) (node, error) { return p.joined("and", depth, of) })
}

func (p *parser) joined(keyword string, depth int, of operand) (node, error) {
	first, err := of(depth)
	if err != nil {
		return nil, err
	}
	parts := []node{first}
	for p.operator(keyword) {
		next, err := of(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	if len(parts) == 1 {
		return first, nil
	}
	start, _ := first.span()
	_, end := parts[len(parts)-1].span()
	return &group{place: place{start, end}, and: keyword == "and", parts: parts}, nil
}

func (p *parser) negated(depth int, of operand) (node, error) {
	start := p.at
	if !p.operator("not") {
		return of(depth)
	}
	if depth == maxDepth {
		return nil, p.fail(start, "a query may be nested at most %d deep", maxDepth)
	}
	part, err := p.negated(depth+1, of)
	if err != nil {
		return nil, err
	}
	_, end := part.span()
	return &negation{place: place{start, end}, part: part}, nil
}

// enclosed reads what stands between parentheses, the first of which was taken
// at start.
func (p *parser) enclosed(start, depth int, inner func(depth int) (node, error)) (node, error) {
	if depth == maxDepth {
		return nil, p.fail(start, "a query may be nested at most %d deep", maxDepth)
	}
	p.space()
	n, err := inner(depth + 1)
	if err != nil {
		return nil, err
	}
	p.space()
	if !p.taken(")") {
		return nil, p.unexpected("and, or or )")
	}
	return at(n, place{start, p.at}), nil
}

// at gives n the place of the parentheses around it.
func at(n node, where place) node {
	switch n := n.(type) {
	case *group:
		n.place, n.closed = where, true
	case *negation:
		n.place = where
	case *condition:
		n.place = where
	}
	return n
}

func (p *parser) primary(depth int) (node, error) {
	start := p.at
	if p.taken("(") {
		return p.enclosed(start, depth, p.or)
	}
	if !p.startsValue() {
		return nil, p.unexpected("a word, a field or (")
	}
	v, _, err := p.value(false)
	if err != nil {
		return nil, err
	}
	end := p.at
	p.space()
	operator := p.comparison()
	if operator == "" {
		p.at = end
		return p.condition(place{start, end}, "", ":", v)
	}
	field, err := p.field(start, v)
	if err != nil {
		return nil, err
	}
	p.space()
	return p.compared(start, depth, field, operator)
}

func (p *parser) field(start int, v value) (string, error) {
	switch {
	case v.text == "":
		return "", p.fail(start, "a field's name can't be empty")
	case strings.Contains(v.text, "*") && v.text != "*":
		return "", p.fail(start, "a field's name can't have a wildcard")
	}
	return v.text, nil
}

// comparison goes behind the operator that stands here and returns it, or "".
func (p *parser) comparison() string {
	for _, operator := range []string{":", "<=", ">=", "<", ">"} {
		if p.taken(operator) {
			return operator
		}
	}
	return ""
}

// compared reads what stands behind a field and its operator.
func (p *parser) compared(start, depth int, field, operator string) (node, error) {
	open := p.at
	switch {
	case operator == ":" && p.taken("{"):
		return nil, p.fail(open, "nested fields are not supported: expected a value")
	case operator == ":" && p.taken("("):
		of := func(int) (node, error) {
			from := p.at
			if !p.startsValue() {
				return nil, p.unexpected("a value")
			}
			v, _, err := p.value(true)
			if err != nil {
				return nil, err
			}
			return p.condition(place{from, p.at}, field, operator, v)
		}
		var item operand
		item = func(depth int) (node, error) {
			return p.negated(depth, func(depth int) (node, error) {
				from := p.at
				if p.taken("(") {
					return p.enclosed(from, depth, func(depth int) (node, error) { return p.either(depth, item) })
				}
				return of(depth)
			})
		}
		n, err := p.enclosed(open, depth, func(depth int) (node, error) { return p.either(depth, item) })
		if err != nil {
			return nil, err
		}
		return at(n, place{start, p.at}), nil
	case !p.startsValue() && p.peek() != ':':
		return nil, p.unexpected("a value")
	}
	from := p.at
	v, words, err := p.value(true)
	if err != nil {
		return nil, err
	}
	if operator != ":" {
		switch {
		case v.pattern != "":
			return nil, p.fail(from, "expected a number, a date or a text without wildcards behind %s", operator)
		case words > 1:
			return nil, p.fail(from, "expected one word or a text in quotes behind %s", operator)
		case field == "*":
			return nil, p.fail(start, "expected a field's name before %s", operator)
		}
	}
	return p.condition(place{start, p.at}, field, operator, v)
}

func (p *parser) condition(where place, field, operator string, v value) (node, error) {
	if p.clauses++; p.clauses > maxClauses {
		return nil, p.fail(where.start, "a query may have at most %d conditions", maxClauses)
	}
	if v.pattern != "" && !v.any() {
		if p.wildcards++; p.wildcards > maxWildcards {
			return nil, p.fail(where.start, "a query may have at most %d values with wildcards", maxWildcards)
		}
		if strings.Count(v.text, "*") > maxStars {
			return nil, p.fail(where.start, "a value may have at most %d wildcards", maxStars)
		}
		if len(v.pattern) > maxWildcardPattern {
			return nil, p.fail(where.start, "a value with wildcards may have at most %d bytes", maxWildcardPattern)
		}
	}
	return &condition{place: where, field: field, operator: operator, value: v}, nil
}

// startsValue reports whether a word or a quoted text begins here.
func (p *parser) startsValue() bool {
	return !p.done() && (p.peek() == '"' || !strings.ContainsRune(special, p.peek())) && p.keyword() == ""
}

// value reads a quoted text, or words up to a special character or a keyword.
// The first word may hold colons where that says so. It returns the number of
// words, too.
func (p *parser) value(colons bool) (value, int, error) {
	if p.taken(`"`) {
		text, err := p.quoted(p.at - 1)
		return value{text: text, quoted: true}, 1, err
	}
	var text, pattern strings.Builder
	words, wild, last, end := 0, false, p.at, p.at
	for {
		p.space()
		if p.done() || ends(p.peek(), colons && words == 0) || p.keyword() != "" {
			break
		}
		if words++; words > 1 {
			text.WriteByte(' ')
			pattern.WriteByte(' ')
		}
		last = p.at
		stars, err := p.literal(&text, &pattern, colons && words == 1)
		if err != nil {
			return value{}, 0, err
		}
		wild, end = wild || stars, p.at
	}
	if words > 1 && p.comparison() != "" { // not this value's, but a field of its own
		return value{}, 0, p.fail(last, "expected and or or before the field %s", p.source[last:end])
	}
	p.at = end
	v := value{text: text.String()}
	if wild {
		v.pattern = pattern.String()
	}
	return v, words, nil
}

// ends reports whether a character ends a word, which may hold colons or not.
func ends(r rune, colons bool) bool {
	if r == ':' {
		return !colons
	}
	return strings.ContainsRune(special, r)
}

// literal reads one word, and reports whether it has a wildcard.
func (p *parser) literal(text, pattern *strings.Builder, colons bool) (wild bool, err error) {
	for !p.done() {
		r, size := utf8.DecodeRuneInString(p.source[p.at:])
		switch {
		case unicode.IsSpace(r), ends(r, colons):
			return wild, nil
		case r == '*':
			wild = true
			text.WriteByte('*')
			pattern.WriteByte('*')
			p.at += size
			continue
		case r == '\\':
			escaped, err := p.escape()
			if err != nil {
				return false, err
			}
			text.WriteString(escaped)
			for _, e := range escaped {
				writeLiteral(pattern, e)
			}
			continue
		}
		text.WriteRune(r)
		writeLiteral(pattern, r)
		p.at += size
	}
	return wild, nil
}

// writeLiteral writes a character that is to mean itself in a wildcard query.
func writeLiteral(pattern *strings.Builder, r rune) {
	if strings.ContainsRune(`*?\`, r) {
		pattern.WriteByte('\\')
	}
	pattern.WriteRune(r)
}

// escape reads what a backslash outside of quotes stands for.
func (p *parser) escape() (string, error) {
	start := p.at
	p.at++
	if keyword := p.keyword(); keyword != "" {
		written := p.source[p.at : p.at+len(keyword)]
		p.at += len(keyword)
		return written, nil
	}
	if s, ok := p.control(); ok {
		return s, nil
	}
	if !p.done() && strings.ContainsRune(special+`\*`, p.peek()) {
		p.at++
		return p.source[p.at-1 : p.at], nil
	}
	return "", p.fail(start, `expected one of \ ( ) : < > " * { }, and, or, not, t, r, n, uXXXX behind the backslash; write \\ for a backslash`)
}

// control reads t, r, n or uXXXX, behind a backslash.
func (p *parser) control() (string, bool) {
	rest := p.source[p.at:]
	if rest == "" {
		return "", false
	}
	if i := strings.IndexByte("trn", rest[0]); i >= 0 {
		p.at++
		return "\t\r\n"[i : i+1], true
	}
	if rest[0] == 'u' && len(rest) >= 5 {
		if code, err := strconv.ParseUint(rest[1:5], 16, 32); err == nil && utf8.ValidRune(rune(code)) {
			p.at += 5
			return string(rune(code)), true
		}
	}
	return "", false
}

// quoted reads up to the closing quote; the opening one was at start.
func (p *parser) quoted(start int) (string, error) {
	var text strings.Builder
	for !p.done() {
		switch c := p.source[p.at]; c {
		case '"':
			p.at++
			return text.String(), nil
		case '\\':
			p.at++
			if s, ok := p.control(); ok {
				text.WriteString(s)
				continue
			}
			if !p.done() && strings.IndexByte(`\"`, p.source[p.at]) >= 0 {
				text.WriteByte(p.source[p.at])
				p.at++
				continue
			}
			text.WriteByte(c)
		default:
			text.WriteByte(c)
			p.at++
		}
	}
	return "", p.fail(start, `expected a closing " for the one here`)
}
