package page

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
)

// Span is the time that a page is about, and whether it is asked for again.
type Span struct {
	From, To time.Time
	// As the address has them, "now-1h" and "now" or ISO 8601.
	FromText, ToText string
	// Refresh is how often the page is loaded again; 0: not.
	Refresh time.Duration
}

const (
	defaultFrom = "now-1h"
	maxSpan     = 400 * 24 * time.Hour // as long as objectives' minutes are kept
)

var relative = regexp.MustCompile(`^now(?:-(\d{1,5})([smhdw]))?$`)

// parseSpan reads from, to and refresh. Its errors are faults that name the
// parameter.
func parseSpan(q url.Values, zone *time.Location, now time.Time) (Span, error) {
	s := Span{FromText: q.Get("from"), ToText: q.Get("to")}
	if s.FromText == "" {
		s.FromText = defaultFrom
	}
	if s.ToText == "" {
		s.ToText = "now"
	}
	var err error
	if s.From, err = moment("from", s.FromText, zone, now); err != nil {
		return s, err
	}
	if s.To, err = moment("to", s.ToText, zone, now); err != nil {
		return s, err
	}
	switch length := s.To.Sub(s.From); {
	case length <= 0:
		return s, fault.Field(fault.InvalidParameter, "from", "The time range is empty: from must be before to.")
	case length > maxSpan:
		return s, fault.Field(fault.InvalidParameter, "from", "The time range is longer than 400 days.")
	}
	if text := q.Get("refresh"); text != "" && text != "0" {
		s.Refresh, err = time.ParseDuration(text)
		if err != nil || s.Refresh < 5*time.Second || s.Refresh > time.Hour {
			return s, fault.Field(fault.InvalidParameter, "refresh", "refresh must be a duration from 5s to 1h, as in 10s.")
		}
	}
	return s, nil
}

// SpanOf reads a span that a form asks for, as the address has them.
func (r *Request) SpanOf(from, to string) (Span, error) {
	return parseSpan(url.Values{"from": {from}, "to": {to}}, r.Zone, r.Now)
}

func moment(field, text string, zone *time.Location, now time.Time) (time.Time, error) {
	if m := relative.FindStringSubmatch(text); m != nil {
		if m[1] == "" {
			return now, nil
		}
		n, _ := strconv.Atoi(m[1]) // five digits
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		return now.Add(-time.Duration(n) * unit), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			if t.Year() < 2000 || t.Year() > 2100 {
				break
			}
			return t, nil
		}
	}
	return time.Time{}, fault.Field(fault.InvalidParameter, field, "%s must be a time as in now-1h, now or 2026-11-21T14:00.", field)
}

// Window is the span as Elasticsearch's queries take it.
func (s Span) Window() elastic.Window { return elastic.Window{From: s.From, To: s.To} }

// Live reports whether the span ends now.
func (s Span) Live() bool { return s.ToText == "now" }

// Length is how long the span is.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Bucket is the width of the points of a chart: the shortest round one that cuts
// the span into at most the given number.
func (s Span) Bucket(points int) time.Duration {
	for _, b := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	} {
		if s.Length() <= b*time.Duration(points) {
			return b
		}
	}
	return 7 * 24 * time.Hour
}

// Values is the span as parameters of an address; what is the default is left
// out.
func (s Span) Values() url.Values {
	q := url.Values{}
	if s.FromText != defaultFrom {
		q.Set("from", s.FromText)
	}
	if s.ToText != "now" {
		q.Set("to", s.ToText)
	}
	if s.Refresh > 0 {
		q.Set("refresh", s.Refresh.String())
	}
	return q
}

// Link is an address with the span and pairs of further parameters; empty values
// are left out.
func (s Span) Link(path string, pairs ...string) (string, error) {
	return link(path, s.Values(), pairs)
}

func link(path string, q url.Values, pairs []string) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("link to %s: a parameter without a value", path)
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Del(pairs[i])
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path, nil
	}
	return path + "?" + q.Encode(), nil
}
