package kql

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"pharos/elastic"
)

// FuzzQuery holds that any text is refused by its place or becomes one of the few
// harmless queries, that its one spelling means the same, and that filters can be
// added and taken away.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "*", "service.name:api and level:error", `message:"a b" or not (x:y*)`, "a:(b or c and not d)", "@timestamp > now-1h",
		`a\:b:\*\u0041`, "((((", `"`, "\\", "a:b c:d", "{}", "not not not a", "a:::1", "\u00a0a\u3000b", "http.response.status_code<5e2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		q, err := Parse(source)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > utf8.RuneCountInString(source)+1 {
				t.Fatalf("%q: %v", source, err)
			}
			return
		}
		first := encode(t, q, source)
		check(t, q, source)
		if spelled := q.String(); len(spelled) <= MaxLength {
			again, err := Parse(spelled)
			if err != nil {
				t.Fatalf("%q is spelled %q: %v", source, spelled, err)
			}
			if second := encode(t, again, source); again.String() != spelled || second != first {
				t.Fatalf("%q is spelled %q, then %q:\n%s\n%s", source, spelled, again, first, second)
			}
		}
		clause := Is("added.field", "x y")
		with, err := Parse(q.With(clause))
		if err != nil {
			if len(q.With(clause)) > MaxLength || q.root != nil {
				return // beyond a limit, or as deep as can be
			}
			t.Fatal(err)
		}
		if !with.Needs(clause) {
			t.Fatalf("%q with %s is %q", source, clause, with.Source())
		}
		without, err := Parse(with.Without(clause))
		if err != nil || encode(t, without, source) != first && !q.Needs(clause) && !q.Needs(Not(clause)) {
			t.Fatalf("%q: %q comes back as %q, %v", source, with.Source(), without.Source(), err)
		}
	})
}

func encode(t *testing.T, q *Query, source string) string {
	t.Helper()
	query, err := q.Elastic(Options{})
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	body, err := json.Marshal(query)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	return string(body)
}

// check looks for a query that is none of the harmless ones.
func check(t *testing.T, q *Query, source string) {
	t.Helper()
	query, err := q.Elastic(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var look func(elastic.Query)
	look = func(query elastic.Query) {
		if len(query) != 1 {
			t.Fatalf("%q: %v", source, query)
		}
		for name, body := range query {
			switch name {
			case "match", "multi_match", "match_phrase", "range", "wildcard", "exists", "match_all", "prefix":
			case "bool":
				for _, parts := range body.(elastic.Query) {
					if list, ok := parts.([]elastic.Query); ok {
						for _, part := range list {
							look(part)
						}
					}
				}
			default:
				t.Fatalf("%q: %s", source, name)
			}
		}
	}
	look(query)
}
