package traces

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/fault"
)

type object = map[string]any

const (
	eventStream  = "traces-apm*"
	errorStream  = "logs-apm.error*"
	maxParameter = 256 // bytes of one field of the form
)

// Filter is which transactions are looked for. The address holds all of it.
type Filter struct {
	Service string `json:"service,omitempty"`
	Route   string `json:"route,omitempty"` // http.route, or the transaction's name
	Status  string `json:"status,omitempty"`
	User    string `json:"user,omitempty"`
	// ID is a trace's, a transaction's or a request's.
	ID string `json:"id,omitempty"`
	// Min and Max are durations as they were written.
	Min string `json:"min,omitempty"`
	Max string `json:"max,omitempty"`
	// Query is in the language of package kql.
	Query string `json:"q,omitempty"`
	// Sort is newest or slowest.
	Sort string `json:"sort"`

	query    *kql.Query
	least    time.Duration
	most     time.Duration
	statuses object // the status as a query; nil: any
}

var (
	statusCode = regexp.MustCompile(`^[1-5](\d\d|xx)$`)
	anyID      = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)
)

// parseFilter reads the parameters of an address. Its errors are faults that
// name the parameter.
func parseFilter(q url.Values) (Filter, error) {
	f := Filter{
		Service: q.Get("service"), Route: q.Get("route"), Status: strings.ToLower(q.Get("status")), User: q.Get("user"), ID: strings.TrimSpace(q.Get("id")),
		Min: q.Get("min"), Max: q.Get("max"), Query: q.Get("q"), Sort: q.Get("sort"),
	}
	for _, p := range []struct{ name, value string }{{"service", f.Service}, {"route", f.Route}, {"user", f.User}} {
		if len(p.value) > maxParameter {
			return f, fault.Field(fault.InvalidParameter, p.name, "%s is longer than %d bytes.", p.name, maxParameter)
		}
	}
	if f.ID != "" && !anyID.MatchString(f.ID) {
		return f, fault.Field(fault.InvalidParameter, "id", "id must be a trace's, transaction's or request's id: letters, digits, dots, colons and dashes.")
	}
	switch f.Sort {
	case "":
		f.Sort = "newest"
	case "newest", "slowest":
	default:
		return f, fault.Field(fault.InvalidParameter, "sort", "sort must be newest or slowest.")
	}
	switch {
	case f.Status == "":
	case f.Status == "failed":
		f.statuses = failing()
	case f.Status == "ok":
		f.statuses = without(failing())
	case statusCode.MatchString(f.Status):
		low, high := f.Status, f.Status
		if strings.HasSuffix(f.Status, "xx") {
			low, high = f.Status[:1]+"00", f.Status[:1]+"99"
		}
		f.statuses = object{"range": object{"http.response.status_code": object{"gte": low, "lte": high}}}
	default:
		return f, fault.Field(fault.InvalidParameter, "status", "status must be failed, ok, a code as in 404 or a class as in 5xx.")
	}
	var err error
	if f.least, err = duration("min", f.Min); err != nil {
		return f, err
	}
	if f.most, err = duration("max", f.Max); err != nil {
		return f, err
	}
	if f.most > 0 && f.least > f.most {
		return f, fault.Field(fault.InvalidParameter, "min", "min is longer than max.")
	}
	if f.query, err = kql.Parse(f.Query); err != nil {
		return f, queryFault(err)
	}
	_, err = f.query.Elastic(kql.Options{})
	return f, queryFault(err)
}

// duration reads a duration as in 250ms or 1.5s; a bare number is in
// milliseconds.
func duration(name, text string) (time.Duration, error) {
	text = strings.ReplaceAll(strings.TrimSpace(text), " ", "")
	if text == "" {
		return 0, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "ms"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > 24*time.Hour {
		return 0, fault.Field(fault.InvalidParameter, name, "%s must be a duration up to 24h, as in 250ms or 1.5s.", name)
	}
	return d, nil
}

// queryFault makes a fault of a query that can't be read.
func queryFault(err error) error {
	var syntax *kql.SyntaxError
	if errors.As(err, &syntax) {
		return fault.Field(fault.InvalidParameter, "q", "The query can't be read at character %d: %s.", syntax.Column, syntax.Reason)
	}
	return err
}

// failing is the query for what ended in a fault of ours.
func failing() object {
	return anyOf(
		object{"term": object{"event.outcome": "failure"}},
		object{"range": object{"http.response.status_code": object{"gte": 500, "lte": 599}}},
	)
}

func anyOf(queries ...object) object {
	return object{"bool": object{"should": queries, "minimum_should_match": 1}}
}

func without(query object) object { return object{"bool": object{"must_not": []object{query}}} }

func within(s page.Span) object {
	return object{"range": object{"@timestamp": object{"gte": s.From.UnixMilli(), "lt": s.To.UnixMilli(), "format": "epoch_millis"}}}
}

// Everywhere reports whether every service's transactions are looked through.
// Otherwise it is the ones that a trace began with, so that each trace is there
// once.
func (f Filter) Everywhere() bool {
	return f.Service != "" || f.ID != "" || !f.query.Empty()
}

// elastic is the filter as a query. An id is looked for at any time.
func (f Filter) elastic(s page.Span) (elastic.Query, error) {
	filters := []any{object{"term": object{"processor.event": transaction}}}
	term := func(field, value string) {
		if value != "" {
			filters = append(filters, object{"term": object{field: value}})
		}
	}
	term("service.name", f.Service)
	term("user.id", f.User)
	if f.Route != "" {
		filters = append(filters, anyOf(object{"term": object{"http.route": f.Route}}, object{"term": object{"transaction.name": f.Route}}))
	}
	if f.statuses != nil {
		filters = append(filters, f.statuses)
	}
	took := object{}
	if f.least > 0 {
		took["gte"] = f.least.Microseconds()
	}
	if f.most > 0 {
		took["lte"] = f.most.Microseconds()
	}
	if len(took) > 0 {
		filters = append(filters, object{"range": object{"transaction.duration.us": took}})
	}
	if f.ID == "" {
		filters = append(filters, within(s))
	} else {
		filters = append(filters, anyOf(object{"term": object{"trace.id": f.ID}}, object{"term": object{"transaction.id": f.ID}}, object{"term": object{"http.request.id": f.ID}}))
	}
	if !f.query.Empty() {
		query, err := f.query.Elastic(kql.Options{})
		if err != nil {
			return nil, queryFault(err)
		}
		filters = append(filters, query)
	}
	b := object{"filter": filters}
	if !f.Everywhere() {
		b["must_not"] = object{"exists": object{"field": "parent.id"}}
	}
	return elastic.Query{"bool": b}, nil
}

// sort is the order of the list; the transaction's id makes it certain.
func (f Filter) sort() []object {
	field := "@timestamp"
	if f.Sort == "slowest" {
		field = "transaction.duration.us"
	}
	return []object{{field: object{"order": "desc"}}, {"transaction.id": object{"order": "desc"}}}
}

// cursor is where a list goes on: a hit's sort values.
func writeCursor(sort []any) string {
	text, err := json.Marshal(sort)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func readCursor(text string) ([]any, error) {
	if text == "" {
		return nil, nil
	}
	var after struct {
		Value float64
		ID    string
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &[]any{&after.Value, &after.ID})
	}
	if err != nil || !anyID.MatchString(after.ID) {
		return nil, fault.Field(fault.InvalidCursor, "cursor", "The cursor is none that this page gave. Begin at the first page.")
	}
	return []any{int64(after.Value), after.ID}, nil
}

// refused makes a fault of Elasticsearch's refusal of a query, which a reader's
// own text is the cause of.
func (f Filter) refused(err error) error {
	var e *elastic.Error
	if errors.As(err, &e) && e.Status == 400 && !f.query.Empty() {
		return errors.Join(fault.Field(fault.InvalidParameter, "q", "Elasticsearch can't search for that: a value does not fit its field."), err)
	}
	return err
}
