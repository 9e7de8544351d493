// Package retention decides what is old or large enough to go: which streams
// begin a new index, which indices behind them are removed, which records. It is
// pure; retention/sweep does what it says.
package retention

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is how long and how much of something is kept. Zero is no limit, of
// either.
type Limit struct {
	Age  time.Duration
	Size int64 // bytes on disk, copies included
}

const (
	day = 24 * time.Hour
	// leastAge and leastSize keep a slip of the pen from emptying a stream.
	leastAge  = time.Hour
	leastSize = 10 << 20
)

var errLimit = errors.New(`must be an age such as 30d or 12h, a size such as 20gb or 500mb, both with a comma between, or "keep"`)

// UnmarshalText reads "30d,20gb": an age in days (d) or as Go writes durations,
// a size in mb, gb or tb (powers of 1024), or one of them; "keep" is no limit.
func (l *Limit) UnmarshalText(text []byte) error {
	if string(text) == "keep" {
		*l = Limit{}
		return nil
	}
	var got Limit
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		size, isSize := parseSize(part)
		age, isAge := parseAge(part)
		switch {
		case isSize && got.Size == 0:
			got.Size = size
		case isAge && got.Age == 0:
			got.Age = age
		default:
			return errLimit
		}
	}
	switch {
	case got.Age != 0 && got.Age < leastAge:
		return fmt.Errorf("an age must be at least %s", leastAge)
	case got.Size != 0 && got.Size < leastSize:
		return fmt.Errorf("a size must be at least %dmb", leastSize>>20)
	}
	*l = got
	return nil
}

func parseAge(text string) (time.Duration, bool) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.Atoi(number)
		return time.Duration(days) * day, err == nil && days > 0 && days < 36500
	}
	age, err := time.ParseDuration(text)
	return age, err == nil && age > 0
}

func parseSize(text string) (int64, bool) {
	for unit, shift := range map[string]int{"mb": 20, "gb": 30, "tb": 40} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(number, 10, 64)
			return n << shift, err == nil && n > 0 && n < 1<<20
		}
	}
	return 0, false
}

// String writes the limit as UnmarshalText reads it.
func (l Limit) String() string {
	var parts []string
	switch {
	case l.Age > 0 && l.Age%day == 0:
		parts = append(parts, fmt.Sprintf("%dd", l.Age/day))
	case l.Age > 0:
		parts = append(parts, l.Age.String())
	}
	switch {
	case l.Size > 0 && l.Size%(1<<30) == 0:
		parts = append(parts, fmt.Sprintf("%dgb", l.Size>>30))
	case l.Size > 0:
		parts = append(parts, fmt.Sprintf("%dmb", l.Size>>20))
	}
	if len(parts) == 0 {
		return "keep"
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Config are the settings: the limits of each stream of a family, and of records.
// .env.example says what is in which.
type Config struct {
	Logs    Limit `env:"RETENTION_LOGS" envDefault:"30d,20gb"`
	Traces  Limit `env:"RETENTION_TRACES" envDefault:"7d,20gb"`
	Metrics Limit `env:"RETENTION_METRICS" envDefault:"90d,20gb"`
	Uptime  Limit `env:"RETENTION_UPTIME" envDefault:"90d,5gb"`
	Shop    Limit `env:"RETENTION_SHOP" envDefault:"400d"`
	SLO     Limit `env:"RETENTION_SLO" envDefault:"400d"`
	History Limit `env:"RETENTION_HISTORY" envDefault:"30d,5gb"`
	Records Limit `env:"RETENTION_RECORDS" envDefault:"400d"`
	// Every is how often it is looked at.
	Every time.Duration `env:"RETENTION_EVERY" envDefault:"10m"`
}

// Validate checks the settings.
func (c *Config) Validate() error {
	switch {
	case c.Every < time.Second:
		return errors.New("RETENTION_EVERY must be at least 1s")
	case c.Records.Size != 0:
		return errors.New("RETENTION_RECORDS must be an age: records have no size of their own")
	}
	return nil
}

// Family is streams of one kind and their limit.
type Family struct {
	Name     string
	Patterns []string // of streams' names, as path.Match reads them
	Limit    Limit
	// Daily marks plain indices that are named by their day instead of a stream's:
	// NAME-2026.11.21 (UTC).
	Daily bool
}

// Families is the table of all streams: a stream is of the first family that
// matches its name.
func (c *Config) Families() []Family {
	return []Family{
		{Name: "slo", Patterns: []string{"metrics-slo-*"}, Limit: c.SLO},
		{Name: "shop", Patterns: []string{"metrics-shop.analytics-*"}, Limit: c.Shop},
		{Name: "uptime", Patterns: []string{"heartbeat-*"}, Limit: c.Uptime},
		{Name: "traces", Patterns: []string{"traces-*"}, Limit: c.Traces},
		{Name: "logs", Patterns: []string{"logs-*"}, Limit: c.Logs},
		{Name: "metrics", Patterns: []string{"metrics-*", "metricbeat-*"}, Limit: c.Metrics},
		{Name: "history", Patterns: []string{"pharos-watch-history-*"}, Limit: c.History, Daily: true},
	}
}

// Records are documents of an index that is no stream: those whose time is over
// are removed one by one.
type Records struct {
	Index string
	// Time is the field with the moment from which the age counts.
	Time string
	// Only are the values of fields that a document must have to be done with.
	Only map[string][]string
	Age  time.Duration // 0: kept
}

// Trimmed is the table of records. Alerts stay: a group's document is used again,
// and its count of episodes must not begin anew.
func (c *Config) Trimmed() []Records {
	return []Records{
		{Index: "pharos-outbox", Time: "done_at", Only: map[string][]string{"state": {"sent", "failed"}}, Age: c.History.Age},
		{Index: "pharos-incidents", Time: "closed_at", Only: map[string][]string{"kind": {"incident"}, "state": {"closed"}}, Age: c.Records.Age},
		{Index: "pharos-silences", Time: "ends_at", Age: c.Records.Age},
		{Index: "pharos-changes", Time: "at", Age: c.Records.Age},
	}
}
