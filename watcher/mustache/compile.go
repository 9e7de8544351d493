package mustache

import (
	"fmt"
	"regexp"
	"strings"
)

// node is a part of a compiled template.
type node struct {
	kind kind
	name string // of a value, a section, a function's argument; a text's text
	raw  bool   // of a value: not escaped
	join string // what join puts between
	line int
	body []node
}

type kind int

const (
	text kind = iota
	value
	section
	inverted
	block // {{$name}}default{{/name}}
	toJSON
	join
	url
)

// maxNesting bounds how deep sections may stand in each other.
const maxNesting = 200

// compiler reads a template from its beginning to its end, as mustache.java's
// MustacheParser does, whose rules for white space are its own: a line that holds
// nothing but a tag of a section goes, one with a comment stays.
type compiler struct {
	in   string
	at   int
	line int
}

func compile(source string) ([]node, error) {
	c := &compiler{in: source, line: 1}
	p := &part{open: "{{", end: "}}", startOfLine: true, onlySpace: true}
	if err := c.compile(p); err != nil {
		return nil, err
	}
	return p.nodes, nil
}

// part is what lies between a section's tags, or all.
type part struct {
	tag       string // of the section; "" for all
	depth     int
	open, end string // delimiters
	first     int    // line

	startOfLine bool // nothing but white space stands before, on this line
	onlySpace   bool // nothing but white space was read since the line began
	afterTag    bool // a section's tag ended on this line: it may go
	sawReturn   bool

	nodes []node
	out   strings.Builder
}

func (p *part) write() {
	if p.out.Len() > 0 {
		p.nodes = append(p.nodes, node{kind: text, name: p.out.String()})
		p.out.Reset()
	}
}

func (c *compiler) compile(p *part) error {
	for c.at < len(c.in) {
		b := c.in[c.at]
		switch {
		case b == '\r':
			p.sawReturn = true
			c.at++
		case b == '\n':
			c.at++
			c.newLine(p)
		case strings.HasPrefix(c.in[c.at:], p.open):
			p.sawReturn = false
			c.at += len(p.open)
			closed, err := c.tag(p)
			if closed || err != nil {
				return err
			}
			p.startOfLine = false
		default:
			p.sawReturn = false // one that ends no line is lost
			p.onlySpace = p.onlySpace && (b == ' ' || b == '\t')
			p.out.WriteByte(b)
			c.at++
		}
	}
	p.write()
	if p.depth > 0 {
		return complaint("Failed to close '%s' tag at line %d", p.tag, p.first)
	}
	return nil
}

func (c *compiler) newLine(p *part) {
	c.line++
	if !p.afterTag || !p.onlySpace {
		if p.sawReturn {
			p.out.WriteByte('\r')
		}
		p.out.WriteByte('\n')
	}
	p.write()
	p.afterTag = false
	p.onlySpace = true
	p.startOfLine = true
}

// tag reads one tag behind its opening delimiter. closed says that it ends p.
func (c *compiler) tag(p *part) (closed bool, err error) {
	command, rest, ok := strings.Cut(c.in[c.at:], p.end)
	if !ok {
		return false, c.improper()
	}
	if command == "" {
		return false, complaint("Empty mustache in query-template:%d", c.line)
	}
	c.at = len(c.in) - len(rest)
	name := strings.TrimSpace(command[1:])
	switch command[0] {
	case '#', '^', '$', '<':
		return false, c.section(p, command[0], name)
	case '/':
		if !p.startOfLine || !p.onlySpace {
			p.write()
		}
		if p.depth == 0 || name != p.tag {
			tag := p.tag
			if p.depth == 0 {
				tag = "null"
			}
			return false, complaint("Mismatched start/end tags: %s != %s in query-template:%d", tag, name, c.line)
		}
		return true, nil
	case '>':
		return false, complaint("Template %s not found: partials are not supported", name)
	case '{':
		p.write()
		return false, c.triple(p, name)
	case '&':
		p.write()
		p.nodes = append(p.nodes, node{kind: value, name: name, raw: true, line: c.line})
	case '!', '%':
		p.write()
	case '=':
		p.write()
		delimiters := strings.Join(strings.Fields(command), "")
		if n := len(delimiters); n > 6 || n%2 != 0 || n < 4 {
			return false, complaint("Invalid delimiter string")
		}
		half := len(delimiters) / 2
		p.open, p.end = delimiters[1:half], delimiters[half:len(delimiters)-1]
	default:
		p.write()
		p.nodes = append(p.nodes, node{kind: value, name: strings.TrimSpace(command), line: c.line})
	}
	return false, nil
}

// complaint is an error in mustache.java's words, which begin with a capital.
func complaint(format string, args ...any) error {
	return fmt.Errorf(format, args...)
}

func (c *compiler) improper() error {
	return complaint("Improperly closed variable in query-template:%d", c.line)
}

// triple reads {{{name}}}, or with other delimiters <%{name}%>.
func (c *compiler) triple(p *part, name string) error {
	if strings.HasSuffix(p.end, "}") && len(p.end) == 2 {
		if c.at >= len(c.in) || c.in[c.at] != '}' {
			return c.improper()
		}
		c.at++
	} else {
		if name == "" {
			return c.improper()
		}
		name = name[:len(name)-1]
	}
	p.nodes = append(p.nodes, node{kind: value, name: name, raw: true, line: c.line})
	return nil
}

// section reads a section to its closing tag. It decides about the white space
// before it when it knows whether the section has lines of its own.
func (c *compiler) section(p *part, sign byte, name string) error {
	if p.depth >= maxNesting {
		return complaint("sections nested deeper than %d in query-template:%d", maxNesting, c.line)
	}
	if sign == '<' {
		return complaint("Template %s not found: partials are not supported", name)
	}
	p.startOfLine = p.startOfLine && p.onlySpace
	inner := &part{
		tag: name, depth: p.depth + 1, open: p.open, end: p.end, first: c.line,
		startOfLine: p.startOfLine, onlySpace: true, afterTag: true,
	}
	line := c.line
	if err := c.compile(inner); err != nil {
		return err
	}
	lines := c.line - line
	if !p.onlySpace || lines == 0 {
		p.write()
	}
	p.out.Reset()
	n := node{kind: section, name: name, line: line, body: inner.nodes}
	switch sign {
	case '^':
		n.kind = inverted
	case '$':
		n.kind = block
	case '#':
		if err := n.function(); err != nil {
			return err
		}
	}
	p.nodes = append(p.nodes, n)
	p.afterTag = lines != 0
	return nil
}

var delimited = regexp.MustCompile(`^join delimiter='(.*)'$`)

// function makes a section one of Elasticsearch's functions if it has the name
// of one. The argument of toJson and join is the text between the tags, as it
// stands there.
func (n *node) function() error {
	title := ""
	switch m := delimited.FindStringSubmatch(n.name); {
	case strings.EqualFold(n.name, "toJson"):
		n.kind, title = toJSON, "toJson"
	case strings.EqualFold(n.name, "join"):
		n.kind, title, n.join = join, "join", ","
	case m != nil:
		n.kind, title, n.join = join, "join", m[1]
	case strings.EqualFold(n.name, "url"):
		n.kind = url
		return nil
	default:
		return nil
	}
	codes := 0
	for i, b := range n.body {
		// Text that follows a tag is a part of it.
		if b.kind != text || i == 0 {
			codes++
		}
	}
	if codes != 1 {
		return complaint("Mustache function [%s] must contain one and only one identifier", title)
	}
	// A tag instead of text names nothing.
	n.name = ""
	if n.body[0].kind == text {
		for _, b := range n.body {
			n.name += b.name
		}
	}
	return nil
}
