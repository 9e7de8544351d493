package kql

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// kinds are the fields that the tests' documents have.
func kinds(field string) Kind {
	return map[string]Kind{
		"message": Text, "service.name": Keyword, "log.level": Keyword, "url.path": Keyword, "http.route": Keyword,
		"http.response.status_code": Number, "@timestamp": Date, "client.ip": IP, "tls.established": Boolean, "labels.team": Flattened,
	}[field]
}

func TestQueriesOfElasticsearch(t *testing.T) {
	and := func(field, text string) string {
		return `{"match":{"` + field + `":{"lenient":true,"operator":"and","query":"` + text + `"}}}`
	}
	for source, want := range map[string]string{
		``:                                       `{"match_all":{}}`,
		`  `:                                     `{"match_all":{}}`,
		`*`:                                      `{"match_all":{}}`,
		`*:*`:                                    `{"match_all":{}}`,
		`service.name:api`:                       and("service.name", "api"),
		`service.name : api`:                     and("service.name", "api"),
		`service.name:"api"`:                     and("service.name", "api"),
		`message: out of memory`:                 and("message", "out of memory"),
		`message:"out of memory"`:                `{"match_phrase":{"message":"out of memory"}}`,
		`message:OutOf* memory`:                  `{"bool":{"filter":[{"wildcard":{"message":{"case_insensitive":true,"value":"OutOf*"}}},` + and("message", "memory") + `]}}`,
		`url.path:/v1/*`:                         `{"wildcard":{"url.path":{"value":"/v1/*"}}}`,
		`url.path:*feed`:                         `{"wildcard":{"url.path":{"value":"*feed"}}}`,
		`url.path:a?b\*c*`:                       `{"wildcard":{"url.path":{"value":"a\\?b\\*c*"}}}`,
		`url.path:a\*`:                           and("url.path", "a*"),
		`url.path:"a*"`:                          and("url.path", "a*"),
		`url.path:*`:                             `{"exists":{"field":"url.path"}}`,
		`http.route:/v1/f/:handle`:               and("http.route", "/v1/f/:handle"),
		`client.ip:::1`:                          and("client.ip", "::1"),
		`client.ip:10.0.0.0/8`:                   and("client.ip", "10.0.0.0/8"),
		`tls.established:true`:                   and("tls.established", "true"),
		`labels.team:pay*`:                       `{"prefix":{"labels.team":{"value":"pay"}}}`,
		`unheard.of:5*`:                          `{"wildcard":{"unheard.of":{"value":"5*"}}}`,
		`a:\u0041\and`:                           and("a", "Aand"),
		`a:\and`:                                 and("a", "and"),
		`a:x\:y\(\)\<\>\{\}\"\\`:                 and("a", `x:y()\u003c\u003e{}\"\\`),
		`"a b":c`:                                and("a b", "c"),
		`android:nothing`:                        and("android", "nothing"),
		`@timestamp>now-15m`:                     `{"range":{"@timestamp":{"gt":"now-15m","time_zone":"Europe/Berlin"}}}`,
		`@timestamp:2026-11-21`:                  `{"range":{"@timestamp":{"gte":"2026-11-21","lte":"2026-11-21","time_zone":"Europe/Berlin"}}}`,
		`@timestamp <= 2026-11-21T10:00:00Z`:     `{"range":{"@timestamp":{"lte":"2026-11-21T10:00:00Z","time_zone":"Europe/Berlin"}}}`,
		`http.response.status_code >= 500`:       `{"range":{"http.response.status_code":{"gte":"500"}}}`,
		`http.response.status_code<5e2`:          `{"range":{"http.response.status_code":{"lt":"5e2"}}}`,
		`not a:b`:                                `{"bool":{"must_not":[` + and("a", "b") + `]}}`,
		`NOT NOT a:b`:                            `{"bool":{"must_not":[{"bool":{"must_not":[` + and("a", "b") + `]}}]}}`,
		`a:b AND c:d`:                            `{"bool":{"filter":[` + and("a", "b") + `,` + and("c", "d") + `]}}`,
		`a:b or c:d and not e:f`:                 `{"bool":{"minimum_should_match":1,"should":[` + and("a", "b") + `,{"bool":{"filter":[` + and("c", "d") + `,{"bool":{"must_not":[` + and("e", "f") + `]}}]}}]}}`,
		`(a:b or c:d)and e:f`:                    `{"bool":{"filter":[{"bool":{"minimum_should_match":1,"should":[` + and("a", "b") + `,` + and("c", "d") + `]}},` + and("e", "f") + `]}}`,
		`a:(b or "c")`:                           `{"bool":{"minimum_should_match":1,"should":[` + and("a", "b") + `,` + and("a", "c") + `]}}`,
		`a:(b and not (c or d))`:                 `{"bool":{"filter":[` + and("a", "b") + `,{"bool":{"must_not":[{"bool":{"minimum_should_match":1,"should":[` + and("a", "c") + `,` + and("a", "d") + `]}}]}}]}}`,
		`{"match_all":{}}`:                       "column 1: expected a word, a field or (, found {",
		`a:{b:c}`:                                "column 3: nested fields are not supported: expected a value",
		`a:`:                                     "column 3: expected a value, found the end",
		`a: and b`:                               "column 4: expected a value, found and",
		`a:b c:d`:                                "column 5: expected and or or before the field c",
		`timeout a:b`:                            "column 9: expected and or or before the field a",
		`ä:b and`:                                "column 8: expected a word, a field or (, found the end",
		`or a`:                                   "column 1: expected a word, a field or (, found or",
		`a:b)`:                                   "column 4: expected and, or or the end, found )",
		`(a:b`:                                   "column 5: expected and, or or ), found the end",
		`a:(b c:d)`:                              "column 6: expected and or or before the field c",
		`a:"b`:                                   `column 3: expected a closing " for the one here`,
		`a:\d`:                                   `column 3: expected one of \ ( ) : < > " * { }, and, or, not, t, r, n, uXXXX behind the backslash; write \\ for a backslash`,
		`a not b`:                                "column 3: expected and, or or the end, found not",
		`a* : b`:                                 "column 1: a field's name can't have a wildcard",
		`"a*":b`:                                 "column 1: a field's name can't have a wildcard",
		`"":b`:                                   "column 1: a field's name can't be empty",
		`a > b*`:                                 "column 5: expected a number, a date or a text without wildcards behind >",
		`a > b c`:                                "column 5: expected one word or a text in quotes behind >",
		`* > 5`:                                  "column 1: expected a field's name before >",
		`http.response.status_code:5*`:           "column 1: http.response.status_code is a number: expected one, or a comparison such as >= 500, and no wildcard",
		`a:b and http.response.status_code:many`: "column 9: http.response.status_code is a number: expected one behind :",
		`http.response.status_code > NaN`:        "column 1: http.response.status_code is a number: expected one behind >",
		`@timestamp > yesterday`:                 "column 1: @timestamp is a date: expected one such as \"2026-11-21T10:00:00Z\", 2026-11-21 or now-15m behind >",
		`@timestamp:2026*`:                       "column 1: @timestamp is a date: expected one, or a comparison such as > now-1h, and no wildcard",
		`client.ip:10.*`:                         "column 1: client.ip is an address: expected one, or a network such as 10.0.0.0/8, and no wildcard",
		`client.ip:300.1.1.1`:                    "column 1: client.ip is an address: expected one, or a network such as 10.0.0.0/8 behind :",
		`tls.established:yes`:                    "column 1: tls.established is either true or false",
		`message > a`:                            "column 1: message has no order: expected : instead of >",
		`labels.team:*pay`:                       "column 1: labels.team is a label: expected a wildcard at the end only",
		strings.Repeat("(", 33) + "a":            "column 33: a query may be nested at most 32 deep",
		strings.Repeat("not ", 33) + "a":         "column 129: a query may be nested at most 32 deep",
		"a:" + strings.Repeat("(", 33) + "a":     "column 35: a query may be nested at most 32 deep",
		strings.Repeat("a or ", 128) + "a":       "column 641: a query may have at most 128 conditions",
		strings.Repeat("a* or ", 16) + "a*":      "column 97: a query may have at most 16 values with wildcards",
		"*a*a*a*a*a*a*a*a*":                      "column 1: a value may have at most 8 wildcards",
		strings.Repeat("a", 600) + "*":           "column 1: a value with wildcards may have at most 512 bytes",
		strings.Repeat("a", 4097):                "column 1: a query may have at most 4096 bytes, this one has 4097",
		"a\xff":                                  "column 1: the query is not valid UTF-8",
		`"connection refused"`:                   freeWant(t, "phrase", "", "connection refused"),
		`connection refused`:                     freeWant(t, "", "and", "connection refused"),
		`*:x`:                                    freeWant(t, "", "and", "x"),
		"message:\"\\u202e\\t\\q\\\"\"":          `{"match_phrase":{"message":"` + "\u202e" + `\t\\q\""}}`,
	} {
		q, err := Parse(source)
		got := ""
		if err == nil {
			query, qerr := q.Elastic(Options{Kind: kinds, Zone: "Europe/Berlin"})
			body, jerr := json.Marshal(query)
			if jerr != nil {
				t.Fatal(jerr)
			}
			got, err = string(body), qerr
		}
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("%s: %T", source, err)
			}
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func freeWant(t *testing.T, kind, operator, text string) string {
	t.Helper()
	query := map[string]any{"query": text, "lenient": true, "fields": append(running(), identifying()...)}
	if kind != "" {
		query["type"] = kind
	}
	if operator != "" {
		query["operator"] = operator
	}
	body, err := json.Marshal(map[string]any{"multi_match": query})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestFreeWildcardsLookIntoMoreThanTheMessage(t *testing.T) {
	q, err := Parse("time*")
	if err != nil {
		t.Fatal(err)
	}
	query, err := q.Elastic(Options{})
	body, jerr := json.Marshal(query)
	if err != nil || jerr != nil {
		t.Fatal(err, jerr)
	}
	for _, want := range []string{`{"wildcard":{"message":{"case_insensitive":true,"value":"time*"}}}`, `{"wildcard":{"url.path":{"value":"time*"}}}`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

func TestOneSpelling(t *testing.T) {
	for source, want := range map[string]string{
		`a:b   AND(c:d OR e : f)`:    `a:b and (c:d or e:f)`,
		`a:(b or not c)`:             `a:b or not a:c`,
		`a:(b or c) and d`:           `(a:b or a:c) and d`,
		`not (a or b)`:               `not (a or b)`,
		`not(not a)`:                 `not not a`,
		`x>=5`:                       `x >= 5`,
		`a:x\:y\**`:                  `a:x\:y\**`,
		`a:"say \"hi\" \\ \n"`:       `a:"say \"hi\" \\ \n"`,
		`"and":\or`:                  `"and":\or`,
		`a:b:c`:                      `a:b\:c`,
		"a:x\\u0020\\u0020y":         `a:x\u0020\u0020y`,
		`http.route:/v1/f/:handle`:   `http.route:/v1/f/\:handle`,
		`(a or b) and (c and d)`:     `(a or b) and (c and d)`,
		``:                           ``,
		"timeout \u00a0  connecting": `timeout connecting`,
	} {
		q, err := Parse(source)
		if err != nil || q.String() != want {
			t.Errorf("%s: got %q, %v; want %q", source, q, err, want)
		}
	}
}

func TestFieldsAndMarks(t *testing.T) {
	q, err := Parse(`service.name:api and (message:"out of" or out* me*ry) and not b:x and status >= 500 and service.name:* and c:(d e)`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(q.Fields(), " "); got != "service.name message b status c" {
		t.Error(got)
	}
	want := []Mark{{"service.name", "api"}, {"message", "out of"}, {"", "out"}, {"", "me"}, {"", "ry"}, {"c", "d"}, {"c", "e"}}
	got := q.Marks()
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestRewriting(t *testing.T) {
	api, five := Is("service.name", "api"), Between("s", 500, 600)
	for _, tt := range []struct{ source, clause, with, without string }{
		{``, api, `service.name:api`, ``},
		{`a:b`, api, `a:b and service.name:api`, `a:b`},
		{`a:b or c:d`, api, `(a:b or c:d) and service.name:api`, `a:b or c:d`},
		{`(a:b) or (c:d)`, api, `((a:b) or (c:d)) and service.name:api`, `(a:b) or (c:d)`},
		{`(a:b or  c:d)`, api, `(a:b or  c:d) and service.name:api`, `(a:b or  c:d)`},
		{`service.name : "api"  and x`, api, `service.name : "api"  and x`, `x`},
		{`(service.name:api)`, api, `(service.name:api)`, ``},
		{`service.name:api`, Not(api), `not service.name:api`, `service.name:api`},
		{`x and NOT service.name:api`, api, `x and service.name:api`, `x and NOT service.name:api`},
		{`not service.name:api`, Not(api), `not service.name:api`, ``},
		{`x and service.name:api and (y or z)`, api, `x and service.name:api and (y or z)`, `x and (y or z)`},
		{`x`, five, `x and (s >= 500 and s < 600)`, `x`},
		{`x and (s>=500 and s<600)`, five, `x and (s>=500 and s<600)`, `x`},
		{`x`, Not(five), `x and not (s >= 500 and s < 600)`, `x`},
		{`x`, Has("trace.id"), `x and trace.id:*`, `x`},
		{`a:\*`, Has("a"), `a:\* and a:*`, `a:\*`},
		{`x`, `(`, `x`, `x`},
		{`x`, ``, `x`, `x`},
	} {
		q, err := Parse(tt.source)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.With(tt.clause); got != tt.with {
			t.Errorf("%s with %s: got %s, want %s", tt.source, tt.clause, got, tt.with)
		}
		if got := q.Without(tt.clause); got != tt.without {
			t.Errorf("%s without %s: got %s, want %s", tt.source, tt.clause, got, tt.without)
		}
	}
	if got := Not(Not(api)); got != api {
		t.Error(got)
	}
}

func TestValuesAreWrittenSoThatTheyMeanThemselves(t *testing.T) {
	for _, text := range []string{"", "api", "and", "a b", `"`, `\`, "*", "a*", "(x)", "a:b", "<b>", "tab\t\r\n", "{}", "\u202eevil", "not x", "-5", "/v1/:id", "\x00\x1b[31m"} {
		q, err := Parse(Is("f", text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c, ok := q.root.(*condition); !ok || c.field != "f" || c.value.text != text || c.value.pattern != "" {
			t.Errorf("%q came back as %+v", text, q.root)
		}
	}
}
