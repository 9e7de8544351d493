package logs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"pharos/console/kql"
)

// clean makes visible what a line may hold to deceive: control characters (ANSI
// escapes among them) become their pictures, and what changes the direction of
// text or can't be seen becomes its number. Line breaks and tabs stay. Templates
// escape the rest.
func clean(text string) string {
	if strings.IndexFunc(text, suspicious) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !suspicious(r):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune(0x2400 + r) // Unicode's control pictures
		case r == 0x7f:
			b.WriteRune(0x2421)
		default:
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		}
	}
	return b.String()
}

func suspicious(r rune) bool {
	switch r {
	case '\n', '\t':
		return false
	case 0x2028, 0x2029: // breaks of lines and paragraphs
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)
}

// cut shortens a text to a number of characters, and reports whether it did.
func cut(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	n := 0
	for i := range text {
		if n == most {
			return text[:i], true
		}
		n++
	}
	return text, false
}

// segment is a piece of a text, highlighted or not.
type segment struct {
	Text string
	Hit  bool
}

// maxHits bounds the highlights of one text.
const maxHits = 100

// highlight cuts a text where a mark of the field, or of any field, is found in
// it, in upper or lower case.
func highlight(text, field string, marks []kql.Mark) []segment {
	var segments []segment
	rest := []rune(text)
	var words [][]rune
	for _, m := range marks {
		if m.Field == "" || m.Field == field {
			words = append(words, []rune(m.Text))
		}
	}
	if len(words) == 0 {
		return []segment{{Text: text}}
	}
	from := 0
	for i := 0; i < len(rest) && len(segments) < 2*maxHits; {
		longest := 0
		for _, w := range words {
			if len(w) > longest && begins(rest[i:], w) {
				longest = len(w)
			}
		}
		if longest == 0 {
			i++
			continue
		}
		if i > from {
			segments = append(segments, segment{Text: string(rest[from:i])})
		}
		segments = append(segments, segment{Text: string(rest[i : i+longest]), Hit: true})
		i += longest
		from = i
	}
	if from < len(rest) {
		segments = append(segments, segment{Text: string(rest[from:])})
	}
	return segments
}

func begins(text, word []rune) bool {
	if len(word) > len(text) {
		return false
	}
	for i, r := range word {
		if text[i] != r && unicode.ToLower(text[i]) != unicode.ToLower(r) {
			return false
		}
	}
	return true
}
