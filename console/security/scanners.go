package security

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/console/series"
)

// manyPaths is from how many different paths that do not exist an address is
// listed as one that looks around.
const manyPaths = 10

// Scanners are the addresses that asked for many paths that do not exist, and the
// paths that no visitor of this service has a reason to ask for.
type Scanners struct {
	Addresses []Prober  `json:"addresses"`
	Paths     []Pattern `json:"paths"`
}

// Prober is an address that looks around.
type Prober struct {
	Address  string    `json:"address"`
	Requests int64     `json:"requests"` // answered 404
	Paths    int64     `json:"paths"`    // different ones, about
	Last     time.Time `json:"last"`
}

// Pattern is what was looked for, in paths or in names of user agents.
type Pattern struct {
	Name string `json:"name"`
	// Query finds the log lines.
	Query     string `json:"query"`
	Count     int64  `json:"count"`
	Addresses int64  `json:"addresses"`
	// Answered are those with a status below 400: something was there.
	Answered int64 `json:"answered"`
}

// probes are the patterns of paths by what they look for: of software that is not
// here, and of files that belong to nobody else.
func probes() map[string][]string {
	return map[string][]string{
		"WordPress":              {"/wp-*", "*/wp-login.php", "*/xmlrpc.php", "*/wp-includes/*"},
		"environment and keys":   {"*/.env*", "*/.aws/*", "*/.ssh/*", "*/id_rsa*", "*/credentials*"},
		"version control":        {"*/.git/*", "*/.svn/*", "*/.hg/*"},
		"database tools":         {"*phpmyadmin*", "*/pma/*", "*/adminer*"},
		"PHP":                    {"*.php", "*.php/*", "*/vendor/phpunit/*"},
		"CGI and routers":        {"/cgi-bin/*", "/boaform/*", "/HNAP1*", "/setup.cgi*", "/GponForm/*"},
		"Java servers":           {"/actuator*", "/manager/html*", "/solr/*", "/jenkins*", "/console/*"},
		"dumps and backups":      {"*.sql", "*.bak", "*.tar.gz", "*.zip"},
		"paths out of the root":  {"*/../*", "*/etc/passwd*", "*%2e%2e*"},
		"mail and office suites": {"/owa/*", "/autodiscover/*", "/ecp/*"},
	}
}

// agents are the names of programs that look for weaknesses, as they name
// themselves.
func agents() []string {
	return []string{"acunetix", "censys", "dirbuster", "ffuf", "gobuster", "masscan", "nessus", "nikto", "nmap", "nuclei", "openvas", "shodan", "sqlmap", "wpscan", "zgrab"}
}

func wildcards(field string, patterns []string) series.Object {
	var should []series.Object
	for _, p := range patterns {
		should = append(should, series.Object{"wildcard": series.Object{field: series.Object{"value": p, "case_insensitive": true}}})
	}
	return series.Object{"bool": series.Object{"should": should, "minimum_should_match": 1}}
}

// found is a bucket of a filters aggregation.
type found struct {
	Count     int64 `json:"doc_count"`
	Addresses number
	Answered  counted
}

func perPattern() series.Object {
	return series.Object{
		"addresses": series.Object{"cardinality": series.Object{"field": "client.ip"}},
		"answered":  series.Object{"filter": statusFrom(100, 400)},
	}
}

func (q queries) scanners(ctx context.Context) (Scanners, error) {
	// Paths that no route has; the routes' own are nothing to probe for.
	unmatched := series.Object{"term": series.Object{"http.route": "other"}}
	filters := series.Object{}
	for name, patterns := range probes() {
		filters[name] = wildcards("url.path", patterns)
	}
	var probed struct{ Buckets map[string]found }
	var around struct {
		Addresses termed[struct {
			Key   string
			Count int64 `json:"doc_count"`
			Paths number
			Last  number
		}]
	}
	_, err := q.ask(ctx, trafficStream, q.traffic(unmatched), series.Object{
		"probed": series.Object{"filters": series.Object{"filters": filters}, "aggs": perPattern()},
		"around": series.Object{"filter": statusIs(404), "aggs": series.Object{"addresses": series.Object{
			"terms": series.Object{"field": "client.ip", "size": 20, "order": []series.Object{{"paths": "desc"}, {"_key": "asc"}}},
			"aggs": series.Object{
				"paths": series.Object{"cardinality": series.Object{"field": "url.path"}},
				"last":  series.Object{"max": series.Object{"field": "@timestamp"}},
			},
		}}},
	}, map[string]any{"probed": &probed, "around": &around})
	if err != nil {
		return Scanners{}, fmt.Errorf("look for scanners: %w", err)
	}
	var s Scanners
	for _, b := range around.Addresses.Buckets {
		if b.Paths.Value >= manyPaths {
			s.Addresses = append(s.Addresses, Prober{b.Key, b.Count, int64(b.Paths.Value), time.UnixMilli(int64(b.Last.Value)).UTC()})
		}
	}
	s.Paths = patterns(probed.Buckets, func(name string) string {
		return Traffic + ` and http.route:other and ` + anyOf("url.path", probes()[name])
	})
	return s, nil
}

// patterns lists what was found, the most frequent first.
func patterns(buckets map[string]found, query func(name string) string) []Pattern {
	var all []Pattern
	for name, b := range buckets {
		if b.Count > 0 {
			all = append(all, Pattern{name, query(name), b.Count, int64(b.Addresses.Value), b.Answered.Count})
		}
	}
	slices.SortFunc(all, func(a, b Pattern) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// anyOf writes patterns as a search in the logs. A star is one only outside of
// quotation marks, where other signs need a backslash.
func anyOf(field string, patterns []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`, `:`, `\:`, `<`, `\<`, `>`, `\>`, `"`, `\"`, `{`, `\{`, `}`, `\}`)
	escaped := make([]string, len(patterns))
	for i, p := range patterns {
		escaped[i] = escape.Replace(p)
	}
	return field + ":(" + strings.Join(escaped, " or ") + ")"
}

func (q queries) agents(ctx context.Context) ([]Pattern, error) {
	const empty = "no user agent"
	filters := series.Object{empty: series.Object{"bool": series.Object{"should": []series.Object{
		{"bool": series.Object{"must_not": []series.Object{{"exists": series.Object{"field": "user_agent.original"}}}}},
		{"terms": series.Object{"user_agent.original": []string{"", "-"}}},
	}, "minimum_should_match": 1}}}
	for _, name := range agents() {
		filters[name] = wildcards("user_agent.original", []string{"*" + name + "*"})
	}
	var answer struct{ Buckets map[string]found }
	if _, err := q.ask(ctx, trafficStream, q.traffic(), series.Object{
		"agents": series.Object{"filters": series.Object{"filters": filters}, "aggs": perPattern()},
	}, map[string]any{"agents": &answer}); err != nil {
		return nil, fmt.Errorf("count user agents: %w", err)
	}
	return patterns(answer.Buckets, func(name string) string {
		if name == empty {
			return Traffic + ` and (not user_agent.original:* or user_agent.original:"-")`
		}
		return Traffic + " and user_agent.original:*" + name + "*"
	}), nil
}

// Address is who asked most.
type Address struct {
	Address  string `json:"address"`
	Requests int64  `json:"requests"`
	Refused  int64  `json:"client_errors"` // 4xx
	Failed   int64  `json:"server_errors"` // 5xx
}

// ErrorShare is the share of the requests that were answered with an error.
func (a Address) ErrorShare() float64 { return float64(a.Refused+a.Failed) / float64(a.Requests) }

func (q queries) addresses(ctx context.Context) ([]Address, error) {
	var answer termed[struct {
		Key     string
		Count   int64 `json:"doc_count"`
		Refused counted
		Failed  counted
	}]
	if _, err := q.ask(ctx, trafficStream, q.traffic(), series.Object{
		"addresses": series.Object{"terms": series.Object{"field": "client.ip", "size": 20}, "aggs": series.Object{
			"refused": series.Object{"filter": statusFrom(400, 500)}, "failed": series.Object{"filter": statusFrom(500, 600)},
		}},
	}, map[string]any{"addresses": &answer}); err != nil {
		return nil, fmt.Errorf("count requests by address: %w", err)
	}
	var all []Address
	for _, b := range answer.Buckets {
		all = append(all, Address{b.Key, b.Count, b.Refused.Count, b.Failed.Count})
	}
	return all, nil
}
