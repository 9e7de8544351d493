package mustache

import (
	"fmt"
	"strings"
)

// escape is how the values of a content type are written.
type escape func(string) string

// escapes are those of Elasticsearch's CustomMustacheFactory.
//
//nolint:gochecknoglobals // a table that is only read
var escapes = map[string]escape{
	jsonType:      escapeJSON,
	jsonUTF8:      escapeJSON,
	jsonUTF8Lower: escapeJSON,
	plainType:     escapeNothing,
	formType:      escapeForm,
}

func escapeNothing(s string) string { return s }

// escapeJSON escapes what may not stand in a JSON string, as Jackson's
// JsonStringEncoder does.
func escapeJSON(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\b':
			b.WriteString(`\b`)
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\f':
			b.WriteString(`\f`)
		case '\r':
			b.WriteString(`\r`)
		default:
			if c < 0x20 {
				fmt.Fprintf(&b, `\u%04X`, c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// escapeForm is Java's URLEncoder, which spares * where Go's QueryEscape spares ~.
func escapeForm(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(".-*_", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
