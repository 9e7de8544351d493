package page

import (
	"regexp"
	"slices"
	"strings"
)

// Term is the search for a field's value, as the pages of logs and traces take it.
func Term(field, value string) string { return field + ":" + Quote(value) }

// AnyOf is the search for one of several values of a field.
func AnyOf(field string, values []string) string {
	if len(values) == 1 {
		return Term(field, values[0])
	}
	quoted := make([]string, 0, len(values))
	for _, v := range values {
		quoted = append(quoted, Quote(v))
	}
	return field + ":(" + strings.Join(quoted, " or ") + ")"
}

var word = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Quote writes a value so that none of it means anything to the search.
func Quote(value string) string {
	if word.MatchString(value) && !slices.Contains([]string{"and", "or", "not"}, strings.ToLower(value)) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
