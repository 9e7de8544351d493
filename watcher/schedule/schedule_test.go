package schedule

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/watcher/document"
)

func parse(t *testing.T, text string) (Schedule, error) {
	t.Helper()
	v, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Parse("trigger.schedule", v)
}

func mustParse(t *testing.T, text string) Schedule {
	t.Helper()
	s, err := parse(t, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// cronExpressions are those that both tests here and the one against Elastic's
// own class go through.
var cronExpressions = []string{
	"0 0 12 * * ?", "0 5 9 ? * MON-FRI", "0 0/15 * * * ?", "*/10 * * * * ?", "0 0 22-2 * * ?",
	"0 0 0 L * ?", "0 0 0 LW * ?", "0 0 0 L-3 * ?", "0 0 0 L-3W * ?", "0 0 0 15W * ?", "0 0 0 1W * ?", "0 0 0 31 * ?",
	"0 0 0 ? * 6L", "0 0 0 ? * 6#3", "0 0 0 ? * 4#5", "0 0 0 ? * FRI-MON", "0 0 0 ? NOV-FEB 1", "0 0 0 29 2 ?",
	"0 0 0 1 1 ? 2020", "0 0 0 1 1 ? 2030", "0 0 0 1 1 ? 2027/2", "59 59 23 31 12 ?", "0 0 0 ? * MONDAY", "0 0 0 ? * L",
	"5,3,1 7-9 1/5 */3 * ?", "0 0 12 * * ? * x", "0 0 0 28-3 * ?", "5X * * * * ?", "0 0 0 */40 * ?", "0 60 * * * ?",
	"0 0 0 30 2 ?", "0 0 0 ? * 1-5/2", "0 0 0 ? * MON-FRI/2", "0 0 0 15W,20 * ?", "0 0 0 ?x * 1",
}

func TestCronNext(t *testing.T) {
	for _, c := range []struct{ expression, after, want string }{
		{"0 0 12 * * ?", "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z"},
		{"0 0 12 * * ?", "2026-11-21T11:59:59.999Z", "2026-11-21T12:00:00Z"},
		{"*/10 * * * * ?", "2026-12-31T23:59:50Z", "2027-01-01T00:00:00Z"},
		{"0 0 22-2 * * ?", "2026-11-21T02:00:00Z", "2026-11-21T22:00:00Z"},
		{"0 0 0 L * ?", "2028-02-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 0 LW * ?", "2026-10-31T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"0 0 0 LW * ?", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z"},
		{"0 0 0 L-3 * ?", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z"},
		{"0 0 0 15W * ?", "2026-08-01T00:00:00Z", "2026-08-14T00:00:00Z"},
		{"0 0 0 1W * ?", "2026-07-31T12:00:00Z", "2026-08-03T00:00:00Z"},
		{"0 0 0 31 * ?", "2026-11-21T00:00:00Z", "2026-12-31T00:00:00Z"},
		{"0 0 0 ? * 6L", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z"},
		{"0 0 0 ? * 6#3", "2026-11-21T00:00:00Z", "2026-12-18T00:00:00Z"},
		{"0 0 0 ? * 4#5", "2026-11-01T00:00:00Z", "2026-12-30T00:00:00Z"},
		{"0 0 0 ? * MONDAY", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"0 0 0 29 2 ?", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 0 1 1 ? 2020", "2026-11-21T00:00:00Z", ""},
		{"0 0 0 30 2 ?", "2026-11-21T00:00:00Z", ""},
	} {
		got := ""
		if next := mustParse(t, `{"cron":"`+c.expression+`"}`).Next(at(t, c.after)); !next.IsZero() {
			got = next.Format(time.RFC3339Nano)
		}
		if got != c.want {
			t.Errorf("%s after %s: got %s, want %s", c.expression, c.after, got, c.want)
		}
	}
}

// TestNextIsTheFirst counts the seconds one by one: no time between a moment and
// the next is one that the expression means, and the next is.
func TestNextIsTheFirst(t *testing.T) {
	for _, e := range []string{"5,3,1 7-9 1/5 */3 * ?", "*/10 */20 9-17 ? * MON-FRI", "0 0/15 22-2 * * ?", "59 59 23 L * ?"} {
		c, err := parseCron(e)
		if err != nil {
			t.Fatal(err)
		}
		after := at(t, "2026-02-27T22:07:58Z")
		for range 20 {
			next := c.nextIn(nil, after)
			if !next.After(after) {
				t.Fatalf("%s: %s is not after %s", e, next, after)
			}
			for s := after.Add(time.Second); s.Before(next) && s.Before(after.Add(3*time.Hour)); s = s.Add(time.Second) {
				if means(c, s) {
					t.Fatalf("%s after %s: got %s, but %s is one", e, after, next, s)
				}
			}
			if !means(c, next) {
				t.Fatalf("%s: %s is none", e, next)
			}
			after = next
		}
	}
}

func means(c *cron, t time.Time) bool {
	in := func(f field, n int) bool { return slices.Contains(c.sets[f], n) }
	return in(second, t.Second()) && in(minute, t.Minute()) && in(hour, t.Hour()) && in(month, int(t.Month())) &&
		in(year, t.Year()) && slices.Contains(c.days(t.Year(), t.Month()), t.Day())
}

// TestTimeZones has the examples of Elastic's documentation.
func TestTimeZones(t *testing.T) {
	for _, c := range []struct{ schedule, after, want string }{
		{`{"timezone":"Europe/Berlin","daily":{"at":"12:00"}}`, "2026-07-01T00:00:00Z", "2026-07-01T10:00:00Z"},
		{`{"daily":{"at":"12:00"},"timezone":"Europe/Berlin"}`, "2026-12-01T00:00:00Z", "2026-12-01T11:00:00Z"},
		{`{"timezone":"america/new_york","cron":"0 0 9 ? * MON"}`, "2026-11-21T00:00:00Z", "2026-11-23T14:00:00Z"},
		{`{"timezone":"+05:30","daily":{"at":"noon"}}`, "2026-11-21T00:00:00Z", "2026-11-21T06:30:00Z"},
		// The clocks go from 1:00 to 2:00: 1:30 is 2:30, once.
		{`{"timezone":"Europe/London","daily":{"at":"01:30"}}`, "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"},
		{`{"timezone":"Europe/London","daily":{"at":"01:30"}}`, "2026-03-29T01:10:00Z", "2026-03-29T01:30:00Z"},
		{`{"timezone":"Europe/London","daily":{"at":"01:30"}}`, "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{`{"timezone":"Europe/London","daily":{"at":["01:30","02:10"]}}`, "2026-03-29T00:59:00Z", "2026-03-29T01:10:00Z"},
		// They go from 2:00 back to 1:00: the first 1:30 counts.
		{`{"timezone":"Europe/London","daily":{"at":"01:30"}}`, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
		{`{"timezone":"Europe/London","daily":{"at":"01:30"}}`, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{`{"timezone":"Europe/London","cron":"0 * * * * ?"}`, "2026-10-25T00:59:00Z", "2026-10-25T02:00:00Z"},
		// Half an hour is skipped: 2:20 is 2:50, and 2:40 comes before it.
		{`{"timezone":"Australia/Lord_Howe","cron":"0 20,40 2 * * ?"}`, "2026-10-03T15:00:00Z", "2026-10-03T15:40:00Z"},
		{`{"timezone":"Australia/Lord_Howe","cron":"0 20,40 2 * * ?"}`, "2026-10-03T15:40:00Z", "2026-10-03T15:50:00Z"},
	} {
		if got := mustParse(t, c.schedule).Next(at(t, c.after)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s after %s: got %s, want %s", c.schedule, c.after, got, c.want)
		}
	}
}

func TestZonesAreMonotonous(t *testing.T) {
	for _, zone := range []string{"Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia"} {
		for _, e := range []string{"0 */7 * * * ?", "0 30 1,2 * * ?", "0 0 0 * * ?", "30 15 2 ? * SUN"} {
			s := mustParse(t, `{"timezone":"`+zone+`","cron":"`+e+`"}`)
			for _, begin := range []string{"2026-03-07T00:00:00Z", "2026-03-28T12:00:00Z", "2026-10-03T00:00:00Z", "2026-10-24T12:00:00Z", "2026-10-31T12:00:00Z", "2011-12-29T00:00:00Z"} {
				after := at(t, begin)
				for range 150 {
					next := s.Next(after)
					if !next.After(after) || next.Sub(after) > 15*24*time.Hour {
						t.Fatalf("%s in %s: %s after %s", e, zone, next, after)
					}
					// The question's answer does not depend on when it is asked.
					if again := s.Next(after.Add(next.Sub(after) / 2).Truncate(time.Millisecond)); !again.Equal(next) {
						t.Fatalf("%s in %s after %s: %s, and later %s", e, zone, after, next, again)
					}
					after = next
				}
			}
		}
	}
}

func TestInterval(t *testing.T) {
	start := at(t, "2026-11-21T09:00:03.250Z")
	s := From(mustParse(t, `{"interval":"5m"}`), start)
	for after, want := range map[string]string{
		"2026-11-21T09:00:03.25Z": "2026-11-21T09:05:03.25Z",
		"2026-11-21T08:00:00Z":    "2026-11-21T09:05:03.25Z",
		"2026-11-21T09:05:03.25Z": "2026-11-21T09:10:03.25Z",
		"2026-11-21T09:59:59Z":    "2026-11-21T10:00:03.25Z",
	} {
		if got := s.Next(at(t, after)).Format(time.RFC3339Nano); got != want {
			t.Errorf("after %s: got %s, want %s", after, got, want)
		}
	}
	if got := mustParse(t, `{"interval":"1h"}`).Next(start).Format(time.RFC3339Nano); got != "2026-11-21T10:00:00Z" {
		t.Errorf("without a start: got %s", got)
	}
}

// TestValue has what Elastic's GET answers (asked of 6.8.23).
func TestValue(t *testing.T) {
	for in, want := range map[string]string{
		`{"interval":"5m"}`:              ``,
		`{"interval":90}`:                `{"interval":"90s"}`,
		`{"interval":1.5}`:               `{"interval":"1s"}`,
		`{"interval":"2w"}`:              ``,
		`{"hourly":{}}`:                  `{"hourly":{"minute":[0]}}`,
		`{"hourly":{"minute":"7"}}`:      `{"hourly":{"minute":[7]}}`,
		`{"hourly":{"minute":[5,10,5]}}`: ``,
		`{"daily":{}}`:                   `{"daily":{"at":["midnight"]}}`,
		`{"daily":{"at":"17:05"}}`:       `{"daily":{"at":["17:05"]}}`,
		`{"daily":{"at":["noon",{"hour":[1,2],"minute":5}]}}`: `{"daily":{"at":["noon",{"hour":[1,2],"minute":[5]}]}}`,
		`{"weekly":{}}`: `{"weekly":[{"on":["MON"],"at":[{"hour":[0],"minute":[0]}]}]}`,
		`{"weekly":{"day":["tue","mon",7],"time":["noon","17:00"]}}`: `{"weekly":[{"on":["MON","TUE","SAT"],"at":["noon","17:00"]}]}`,
		`{"monthly":[{"on":10,"at":"noon"},{"on":20}]}`:              `{"monthly":[{"on":[10],"at":["noon"]},{"on":[20],"at":[{"hour":[0],"minute":[0]}]}]}`,
		`{"monthly":{"on":"last_day"}}`:                              `{"monthly":[{"on":[32],"at":[{"hour":[0],"minute":[0]}]}]}`,
		`{"yearly":{"in":["dec","jan",3],"on":10,"at":"noon"}}`:      `{"yearly":[{"in":["JAN","MAR","DEC"],"on":[10],"at":["noon"]}]}`,
		`{"yearly":[{"month":"first"}]}`:                             `{"yearly":[{"in":["JAN"],"on":[1],"at":[{"hour":[0],"minute":[0]}]}]}`,
		`{"cron":["0 5 12 * * ?","0 0 12 ? * mon"]}`:                 `{"cron":["0 0 12 ? * MON","0 5 12 * * ?"]}`,
		`{"timezone":"Europe/Berlin","cron":"0 5 12 * * ?"}`:         `{"cron":"0 5 12 * * ?","timezone":"Europe/Berlin"}`,
	} {
		if want == "" {
			want = in
		}
		got, err := document.Marshal(mustParse(t, in).Value())
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
		}
		if again := mustParse(t, string(got)); document.String(again.Value()) != document.String(mustParse(t, in).Value()) {
			t.Errorf("%s reads back differently", got)
		}
	}
}

func TestTimesOfDays(t *testing.T) {
	for _, c := range []struct{ schedule, after, want string }{
		{`{"hourly":{"minute":[0,15,30,45]}}`, "2026-11-21T09:16:00Z", "2026-11-21T09:30:00Z"},
		{`{"daily":{"at":{"hour":[9,17],"minute":[0,30]}}}`, "2026-11-21T09:30:00Z", "2026-11-21T17:00:00Z"},
		{`{"weekly":[{"on":"fri","at":"17:00"},{"on":"mon","at":"noon"}]}`, "2026-11-21T00:00:00Z", "2026-11-23T12:00:00Z"},
		{`{"monthly":{"on":"last_day","at":"midnight"}}`, "2026-11-21T00:00:00Z", "2026-11-30T00:00:00Z"},
		{`{"yearly":{"in":["jan","jun"],"on":[10,20],"at":["noon","17:00"]}}`, "2026-06-20T12:00:00Z", "2026-06-20T17:00:00Z"},
	} {
		if got := mustParse(t, c.schedule).Next(at(t, c.after)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s after %s: got %s, want %s", c.schedule, c.after, got, c.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`5`:                                            "could not parse schedule. expected an object with a schedule type field, but found [VALUE_NUMBER] (at trigger.schedule)",
		`{}`:                                           "could not parse schedule. expected a schedule type field, but no fields were found (at trigger.schedule)",
		`{"foo":1}`:                                    "unknown schedule type [foo] (at trigger.schedule.foo)",
		`{"interval":"5m","hourly":{}}`:                "a schedule has one type, but found [interval] and [hourly] (at trigger.schedule.hourly)",
		`{"interval":0}`:                               "could not parse schedule: interval can't be lower than 1000 ms, but [0s] was specified (at trigger.schedule.interval)",
		`{"interval":"5ms"}`:                           "could not parse [5m] as a [seconds] duration",
		`{"interval":"1500"}`:                          "unrecognized interval format [1500]",
		`{"interval":"5.5m"}`:                          "could not parse [5.5] as a [minutes] duration",
		`{"interval":"-5m"}`:                           "but [-5m] was specified",
		`{"interval":true}`:                            "found [VALUE_BOOLEAN]",
		`{"interval":"9223372036854775807w"}`:          "can't be longer than 100 years",
		`{"hourly":{"minute":60}}`:                     "could not parse [hourly] schedule. invalid value for [minute]: invalid time minute value [60] (possible values may be between 0 and 59 incl.) (at trigger.schedule.hourly.minute)",
		`{"hourly":{"minutes":1}}`:                     "unexpected field [minutes] (at trigger.schedule.hourly.minutes)",
		`{"hourly":5}`:                                 "expected an object, but found [VALUE_NUMBER]",
		`{"daily":{"at":["noon","7:5"]}}`:              "could not parse time [7:5]. time format must be in the form of hh:mm (at trigger.schedule.daily.at[1])",
		`{"daily":{"at":"25:00"}}`:                     "invalid time hour value [25]",
		`{"daily":{"at":{"hours":5}}}`:                 "unexpected field [hours] (at trigger.schedule.daily.at.hours)",
		`{"weekly":{"on":8}}`:                          "could not parse [weekly] schedule. invalid weekly times: unknown day of week number [8] (at trigger.schedule.weekly.on)",
		`{"weekly":[5]}`:                               "(at trigger.schedule.weekly[0])",
		`{"monthly":{"on":33}}`:                        "invalid month day [33]",
		`{"monthly":{"on":["last_day",1]}}`:            "support for specifying 'L' and 'LW' with other days of the month is not implemented",
		`{"yearly":{"in":"foo"}}`:                      "unknown month [foo]",
		`{"cron":5}`:                                   "found [VALUE_NUMBER] (at trigger.schedule.cron)",
		`{"cron":[]}`:                                  "no cron expression found in cron array",
		`{"cron":["0 0 12 * * ?","bad"]}`:              "invalid cron expression [bad]: unexpected end of expression at pos [3]. (at trigger.schedule.cron[1])",
		`{"cron":"0 0 12 * * *"}`:                      "support for specifying both a day-of-week AND a day-of-month parameter is not implemented.",
		`{"cron":"0 0 0 32 * ?"}`:                      "could not parse [cron] schedule: invalid cron expression [0 0 0 32 * ?]: Day of month values must be between 1 and 31 (at trigger.schedule.cron)",
		`{"timezone":"Mars/X","daily":{}}`:             "invalid timezone [Mars/X] (at trigger.schedule.timezone)",
		`{"timezone":"Europe/Berlin","interval":"5m"}`: "a timezone is not supported for [interval] schedules",
		`{"timezone":1,"daily":{}}`:                    "a timezone must be a string",
	} {
		_, err := parse(t, in)
		var place *document.PathError
		if !errors.As(err, &place) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range cronExpressions {
		f.Add(`{"cron":"`+e+`"}`, int64(1795252800000))
	}
	f.Add(`{"timezone":"Europe/London","weekly":[{"on":["mon",3],"at":{"hour":[1],"minute":"30"}}]}`, int64(1774746000000))
	f.Add(`{"interval":"5m"}`, int64(0))
	f.Fuzz(func(t *testing.T, text string, millis int64) {
		v, err := document.Parse([]byte(text))
		if err != nil {
			return
		}
		s, err := Parse("schedule", v)
		if err != nil {
			var place *document.PathError
			if !errors.As(err, &place) {
				t.Fatalf("%T has no place: %v", err, err)
			}
			return
		}
		after := time.UnixMilli(millis % 7e12).UTC()
		if next := s.Next(after); !next.IsZero() && !next.After(after) {
			t.Fatalf("%s is not after %s", next, after)
		}
		again, err := Parse("schedule", s.Value())
		if err != nil {
			t.Fatalf("%s does not read back: %v", document.String(s.Value()), err)
		}
		if document.String(again.Value()) != document.String(s.Value()) {
			t.Fatalf("%s reads back as %s", document.String(s.Value()), document.String(again.Value()))
		}
	})
}
