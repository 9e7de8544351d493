package kql

import (
	"fmt"
	"strings"
	"unicode"
)

// Is returns the condition that a field has a value, as it is to be written.
func Is(field, value string) string {
	return writeField(field) + ":" + writeText(value)
}

// Has returns the condition that a field has any value.
func Has(field string) string { return writeField(field) + ":*" }

// Not returns the opposite of a condition.
func Not(clause string) string {
	q, err := Parse(clause)
	if err != nil || q.root == nil {
		return clause
	}
	if n, ok := q.root.(*negation); ok {
		start, end := n.part.span()
		return clause[start:end]
	}
	return "not " + enclose(q.root, clause)
}

// Between returns the condition that a field's number is at least low and less
// than high.
func Between(field string, low, high int64) string {
	f := writeField(field)
	return fmt.Sprintf("(%s >= %d and %s < %d)", f, low, f, high)
}

// With returns the text of the query that needs clause, too, and leaves the rest
// as it was written. A clause that is there already is not added; its opposite
// is taken out. A clause that can't be read changes nothing.
func (q *Query) With(clause string) string {
	added, err := Parse(clause)
	if err != nil || added.root == nil {
		return q.source
	}
	opposite := key(opposite(added.root))
	var parts []string
	for _, n := range q.conjuncts() {
		switch key(n) {
		case key(added.root):
			return q.source
		case opposite:
			continue
		}
		parts = append(parts, enclose(n, q.source))
	}
	if len(parts) == 0 { // needs no parentheses
		return strings.TrimSpace(clause)
	}
	return strings.Join(append(parts, enclose(added.root, clause)), " and ")
}

// Without returns the text of the query that doesn't need clause any more.
func (q *Query) Without(clause string) string {
	removed, err := Parse(clause)
	if err != nil || removed.root == nil || !q.Needs(clause) {
		return q.source
	}
	var parts []node
	for _, n := range q.conjuncts() {
		if key(n) != key(removed.root) {
			parts = append(parts, n)
		}
	}
	var texts []string
	for _, n := range parts {
		if start, end := n.span(); len(parts) == 1 {
			return q.source[start:end]
		}
		texts = append(texts, enclose(n, q.source))
	}
	return strings.Join(texts, " and ")
}

// Needs reports whether clause is one of the conditions all of which the query
// needs, however it is written there.
func (q *Query) Needs(clause string) bool {
	wanted, err := Parse(clause)
	if err != nil || wanted.root == nil {
		return false
	}
	for _, n := range q.conjuncts() {
		if key(n) == key(wanted.root) {
			return true
		}
	}
	return false
}

// conjuncts are the parts all of which the query needs.
func (q *Query) conjuncts() []node {
	if q.root == nil {
		return nil
	}
	if g, ok := q.root.(*group); ok && g.and && !g.closed {
		return g.parts
	}
	return []node{q.root}
}

func opposite(n node) node {
	if n, ok := n.(*negation); ok {
		return n.part
	}
	return &negation{part: n}
}

// enclose is a part as it stands in the source, fit to be joined by and.
func enclose(n node, source string) string {
	start, end := n.span()
	if g, ok := n.(*group); ok && !g.closed {
		return "(" + source[start:end] + ")"
	}
	return source[start:end]
}

// Mark is a text that the documents found are likely to hold.
type Mark struct {
	Field string // empty: any
	Text  string
}

// Marks returns what to highlight in the documents that the query finds: phrases
// as they are, other values word by word, wildcards by what is between them.
func (q *Query) Marks() []Mark {
	var marks []Mark
	walk(q.root, false, func(c *condition, negated bool) {
		if negated || c.operator != ":" || c.value.any() {
			return
		}
		texts := []string{c.value.text}
		switch {
		case c.value.pattern != "":
			texts = strings.FieldsFunc(c.value.text, func(r rune) bool { return r == '*' || unicode.IsSpace(r) })
		case !c.value.quoted:
			texts = strings.Fields(c.value.text)
		}
		field := c.field
		if field == "*" {
			field = ""
		}
		for _, text := range texts {
			if strings.TrimSpace(text) != "" {
				marks = append(marks, Mark{Field: field, Text: text})
			}
		}
	})
	return marks
}

// String returns the query in one fixed spelling: lists taken apart, operators in
// lower case, quotes and parentheses only where they are needed.
func (q *Query) String() string {
	if q.root == nil {
		return ""
	}
	var b strings.Builder
	write(&b, q.root, func(v value) string { return writeValue(v) })
	return b.String()
}

// key is equal for parts that mean the same, though one may be in quotes.
func key(n node) string {
	var b strings.Builder
	write(&b, n, func(v value) string {
		if v.quoted && !strings.ContainsFunc(v.text, unicode.IsSpace) {
			v.quoted = false
		}
		return writeValue(v)
	})
	return b.String()
}

func write(b *strings.Builder, n node, show func(value) string) {
	switch n := n.(type) {
	case *group:
		for i, part := range n.parts {
			if i > 0 {
				b.WriteString(map[bool]string{true: " and ", false: " or "}[n.and])
			}
			inner, ok := part.(*group)
			if ok = ok && (n.and || !inner.and); ok {
				b.WriteByte('(')
			}
			write(b, part, show)
			if ok {
				b.WriteByte(')')
			}
		}
	case *negation:
		b.WriteString("not ")
		if _, ok := n.part.(*group); ok {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		write(b, n.part, show)
	case *condition:
		if c := n; c.field != "" {
			b.WriteString(writeField(c.field))
			if c.operator == ":" {
				b.WriteByte(':')
			} else {
				b.WriteString(" " + c.operator + " ")
			}
		}
		b.WriteString(show(n.value))
	}
}

func writeField(field string) string {
	if field == "*" {
		return field
	}
	return writeText(field)
}

// writeText writes a text that is to be taken as a whole, in quotes if it must.
func writeText(text string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./@%+", r))
	}
	if text != "" && !isKeyword(text) && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return quote(text)
}

func isKeyword(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not":
		return true
	}
	return false
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`, "\r", `\r`, "\n", `\n`).Replace(text) + `"`
}

func writeValue(v value) string {
	if v.quoted {
		return quote(v.text)
	}
	runes := []rune(v.text)
	stars := map[int]bool{} // the places of wildcards
	if v.pattern != "" {
		place := 0
		for pattern := []rune(v.pattern); len(pattern) > 0; place++ {
			switch pattern[0] {
			case '*':
				stars[place] = true
			case '\\':
				pattern = pattern[1:]
			}
			pattern = pattern[1:]
		}
	}
	var b strings.Builder
	for i, r := range runes {
		space := func(i int) bool { return i < 0 || i >= len(runes) || unicode.IsSpace(runes[i]) }
		switch {
		case stars[i]:
			b.WriteByte('*')
		case r == ' ' && !space(i-1) && !space(i+1):
			b.WriteByte(' ')
		case unicode.IsSpace(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case strings.ContainsRune(special+`\*`, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case space(i-1) && isKeyword(string(runes[i:wordEnd(runes, i)])):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func wordEnd(runes []rune, start int) int {
	for i := start; i < len(runes); i++ {
		if unicode.IsSpace(runes[i]) {
			return i
		}
	}
	return len(runes)
}
