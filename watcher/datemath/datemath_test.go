package datemath_test

import (
	"strings"
	"testing"
	"time"

	"pharos/watcher/datemath"
)

var now = time.Date(2026, 11, 21, 9, 41, 7, 250_000_001, time.UTC) // a Saturday

func TestResolve(t *testing.T) {
	for expr, want := range map[string]string{
		"now":                                  "2026-11-21T09:41:07.25Z",
		"now-5m":                               "2026-11-21T09:36:07.25Z",
		"now+h":                                "2026-11-21T10:41:07.25Z",
		"now/d":                                "2026-11-21T00:00:00Z",
		"now/w":                                "2026-11-16T00:00:00Z",
		"now/M":                                "2026-11-01T00:00:00Z",
		"now/y":                                "2026-01-01T00:00:00Z",
		"now/h":                                "2026-11-21T09:00:00Z",
		"now/H":                                "2026-11-21T09:00:00Z",
		"now/m":                                "2026-11-21T09:41:00Z",
		"now/s":                                "2026-11-21T09:41:07Z",
		"now-1d/d+2h-30m":                      "2026-11-20T01:30:00Z",
		"now-2w":                               "2026-11-07T09:41:07.25Z",
		"now/d/M":                              "2026-11-01T00:00:00Z",
		"2015-05-05":                           "2015-05-05T00:00:00Z",
		"2015-05-05||+1d":                      "2015-05-06T00:00:00Z",
		"2015-01-31||+1M":                      "2015-02-28T00:00:00Z",
		"2016-02-29||+1y":                      "2017-02-28T00:00:00Z",
		"2016-03-31||-1M":                      "2016-02-29T00:00:00Z",
		"2015-12-31||+1M/M":                    "2016-01-01T00:00:00Z",
		"2014-11-18T14:27:32||/w":              "2014-11-17T00:00:00Z",
		"2015-05-05T14:00:00.123456+01:00||/h": "2015-05-05T13:00:00Z",
		"2015-05-05T14:00:00.123456+0100":      "2015-05-05T13:00:00.123Z",
		"2015-05-05T14":                        "2015-05-05T14:00:00Z",
		"2015-05":                              "2015-05-01T00:00:00Z",
		"2015":                                 "2015-01-01T00:00:00Z",
		"1430834400000":                        "2015-05-05T14:00:00Z",
		"1430834400000||/y":                    "2015-01-01T00:00:00Z",
		"-10000||+10s":                         "1970-01-01T00:00:00Z",
		"2015-05-05||":                         "2015-05-05T00:00:00Z",
		"now-500y":                             "1526-11-21T09:41:07.25Z",
	} {
		got, err := datemath.Resolve(expr, now)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: got %s %v, want %s", expr, got.Format(time.RFC3339Nano), err, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for expr, want := range map[string]string{
		"nowhere":              "operator not supported for date math [here]",
		"now-":                 "truncated date math [-]",
		"now-5":                "truncated date math [-5]",
		"now-5x":               "unit [x] not supported for date math [-5x]",
		"now/2d":               "rounding `/` can only be used on single unit types [/2d]",
		"now-99999999999d":     "number [99999999999] is too large",
		"now+2147483647y":      "leaves the range of dates",
		"":                     "failed to parse date field []",
		"yesterday":            "failed to parse date field [yesterday]",
		"2015-13-01||+1d":      "failed to parse date field [2015-13-01]",
		"2015-02-30":           "failed to parse date field",
		"9999999999999999999":  "failed to parse date field",
		" now":                 "failed to parse date field",
		"2015-05-05 14:00:00Z": "failed to parse date field",
	} {
		if got, err := datemath.Resolve(expr, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %s %v, want %s", expr, got, err, want)
		}
	}
}

func TestEmbedded(t *testing.T) {
	for value, want := range map[string]string{
		"<{now-5m}>": "now-5m", "<{2015-05-05||+1d}>": "2015-05-05||+1d", "<{}>": "", "now-5m": "", "<now>": "", "<{now": "", "": "", "<{>": "",
	} {
		got, ok := datemath.Embedded(value)
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %q %v, want %q", value, got, ok, want)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, expr := range []string{"now-5m/d", "2015-01-31||+1M", "1430834400000||/y", "now+2147483647y", "2015-05-05T14:00:00.1+01:00", "now-5x"} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		got, err := datemath.Resolve(expr, now)
		if err != nil {
			return
		}
		if got.Location() != time.UTC || got.Nanosecond()%1e6 != 0 {
			t.Fatalf("%q: %s is not UTC in milliseconds", expr, got)
		}
		rounded, err := datemath.Resolve(expr+func() string {
			if strings.HasPrefix(expr, "now") || strings.Contains(expr, "||") {
				return "/d"
			}
			return "||/d"
		}(), now)
		if err != nil {
			t.Fatalf("%q rounded: %v", expr, err)
		}
		if rounded.After(got) || got.Sub(rounded) >= 24*time.Hour {
			t.Fatalf("%q: %s rounds to %s", expr, got, rounded)
		}
	})
}
