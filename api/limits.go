package api

import (
	"strconv"
	"strings"
	"time"

	"pharos/feed"
	"pharos/internal/attempts"
	"pharos/internal/fault"
	"pharos/internal/idempotency"
	"pharos/internal/ratelimit"
	"pharos/jobs"
	"pharos/shop"
)

// FrontLimits are nginx's settings that clients meet. nginx.conf.template has
// them from the same variables.
type FrontLimits struct {
	Rate  string `env:"NGINX_RATE_LIMIT" envDefault:"100r/s"`
	Burst int    `env:"NGINX_RATE_BURST" envDefault:"200"`
	Body  string `env:"NGINX_BODY_LIMIT" envDefault:"1m"`
}

// Settings are those of what api uses and does not own.
type Settings struct {
	RateLimit   ratelimit.Config
	Idempotency idempotency.Config
	Jobs        jobs.Config
	Events      shop.Limits
	SignIns     attempts.Config
	KeysPerUser int // of feed's
}

// limitGroup is a table of the catalogue of limits.
type limitGroup struct {
	Name   string
	Limits []limit
}

// limit is a bound that a client can meet.
type limit struct {
	What, Most string
	Beyond     fault.Code // what the client is told; "" where nothing is refused
	Setting    string     // the variable that changes it; "" where none does
}

// limitsOf lists every limit of an instance with these settings.
func limitsOf(cfg *Config, in Settings) []limitGroup {
	count := func(n int) string { return grouped(uint64(max(n, 0))) }
	return []limitGroup{
		{"Requests", []limit{
			{"Requests of one client address", perSecond(cfg.Front.Rate) + ", and " + count(cfg.Front.Burst) + " more at once", fault.TooManyRequests, "NGINX_RATE_LIMIT, NGINX_RATE_BURST"},
			{"Requests of one user or key", count(in.RateLimit.PerSecond) + " a second, " + count(in.RateLimit.Burst) + " at once after a pause", fault.TooManyRequests, "USER_RATE_LIMIT, USER_RATE_BURST"},
			{"Requests that an instance works on at once", count(cfg.MaxInFlight), fault.Overloaded, "API_MAX_IN_FLIGHT"},
			{"Time for an answer", span(cfg.RequestTimeout), fault.Timeout, "REQUEST_TIMEOUT"},
			{"Time between two parts of a request that is being sent", "10 s", "", ""},
			{"Length of the address", "8 KiB", fault.LimitExceeded, ""},
			{"Length of the headers", "8 KiB each, 32 KiB together", fault.LimitExceeded, ""},
		}},
		{"Bodies", []limit{
			{"Body of any request, at the front door", frontSize(cfg.Front.Body), fault.BodyTooLarge, "NGINX_BODY_LIMIT"},
			{"Body of events, or of a request with an Idempotency-Key", size(MaxAnyBody), fault.BodyTooLarge, ""},
			{"Body of a job", size(maxJobBody), fault.BodyTooLarge, ""},
			{"Body of any other request", size(MaxBody), fault.BodyTooLarge, ""},
			{"Idempotency-Key", "1 to " + count(idempotency.MaxKey) + " visible ASCII characters", fault.InvalidParameter, ""},
			{"Time that an answer is remembered by its Idempotency-Key", span(in.Idempotency.TTL), "", "IDEMPOTENCY_TTL"},
		}},
		{"Users and posts", []limit{
			{"Handle", "3 to 30 of a-z, 0-9 and _", fault.InvalidParameter, ""},
			{"Name", "1 to " + count(feed.MaxName) + " characters", fault.InvalidParameter, ""},
			{"Password", count(feed.MinPassword) + " characters to " + count(feed.MaxPassword) + " bytes", fault.InvalidParameter, ""},
			{"Text of a post", "1 to " + count(feed.MaxText) + " characters", fault.InvalidParameter, ""},
			{"Items on a page", "1 to " + count(feed.MaxLimit) + ", " + count(feed.DefaultLimit) + " unless asked for", fault.InvalidParameter, ""},
			{"Time until a suspension or the end of a key holds everywhere", "30 s", "", ""},
			{"API keys of a user", count(in.KeysPerUser), fault.LimitExceeded, "API_KEYS_PER_USER"},
			{"Failed sign-ins before the first wait", count(in.SignIns.FreePerHandle) + " of a handle, " + count(in.SignIns.FreePerAddress) + " of a client address", fault.TooManyRequests, "SIGN_IN_FREE_PER_HANDLE, SIGN_IN_FREE_PER_ADDRESS"},
			{"Wait after failed sign-ins", span(in.SignIns.FirstWait) + ", doubled by each further one, up to " + span(in.SignIns.MaxWait), fault.TooManyRequests, "SIGN_IN_FIRST_WAIT, SIGN_IN_MAX_WAIT"},
			{"Time without a failure after which all is forgotten", span(in.SignIns.Forget), "", "SIGN_IN_FORGET"},
		}},
		{"Shop events", []limit{
			{"Events in a request", count(shop.MaxBatch), fault.LimitExceeded, ""},
			{"One event", size(shop.MaxEventBytes) + ", else it is invalid", "", ""},
			{"Age of an event", span(in.Events.Age) + ", else it is invalid", "", "SHOP_MAX_AGE"},
			{"Time of an event ahead of ours", span(in.Events.Future) + ", else it is invalid", "", "SHOP_MAX_FUTURE"},
		}},
		{"Tasks", []limit{
			{"Fibonacci: n", grouped(cfg.Tasks.FibonacciMaxN), fault.LimitExceeded, "FIBONACCI_MAX_N"},
			{"Factorial: n", grouped(cfg.Tasks.FactorialMaxN), fault.LimitExceeded, "FACTORIAL_MAX_N"},
			{"Ackermann: n with m up to 2", grouped(cfg.Tasks.AckermannMaxN), fault.LimitExceeded, "ACKERMANN_MAX_N"},
			{"Ackermann: n with m = 3", grouped(cfg.Tasks.AckermannM3MaxN), fault.LimitExceeded, "ACKERMANN_M3_MAX_N"},
			{"Ackermann: n with m = 4, the largest m", grouped(largestAckermannN(cfg, 4)), fault.LimitExceeded, ""},
			{"Large numbers computed at once by an instance", count(cfg.Tasks.Concurrency) + ", others wait up to " + span(cfg.Tasks.Wait), fault.Unavailable, "TASKS_CONCURRENCY, TASKS_WAIT"},
		}},
		{"Jobs", []limit{
			{"Fibonacci: n", grouped(in.Jobs.FibonacciMaxN), fault.LimitExceeded, "JOBS_FIBONACCI_MAX_N"},
			{"Factorial: n", grouped(in.Jobs.FactorialMaxN), fault.LimitExceeded, "JOBS_FACTORIAL_MAX_N"},
			{"Jobs of a user that have not ended", count(in.Jobs.PerUser), fault.TooManyRequests, "JOBS_PER_USER"},
			{"Jobs of a user that are kept", count(in.Jobs.KeptUser), fault.TooManyRequests, "JOBS_KEPT_PER_USER"},
			{"Time for one attempt", span(in.Jobs.Timeout) + ", then the job has failed", "", "JOBS_TIMEOUT"},
			{"Time that a job and its result are kept after its end", span(in.Jobs.Retention), fault.NotFound, "JOBS_RETENTION"},
			{"Time to fetch a result", span(resultTimeout) + " in all, " + span(partTimeout) + " for each part", "", ""},
		}},
	}
}

func largestAckermannN(cfg *Config, m uint64) uint64 {
	n, _ := cfg.Tasks.LargestAckermannN(m)
	return n
}

// span writes a duration of a setting, as "1 min 30 s".
func span(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, " h"}, {time.Minute, " min"}} {
		if n := int(d / unit.size); n > 0 {
			parts = append(parts, strconv.Itoa(n)+unit.name)
			d -= time.Duration(n) * unit.size
		}
	}
	if d > 0 || len(parts) == 0 {
		parts = append(parts, strconv.FormatFloat(d.Seconds(), 'f', -1, 64)+" s")
	}
	return strings.Join(parts, " ")
}

// size writes a number of bytes.
func size(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n >= mib && n%mib == 0:
		return strconv.FormatInt(n/mib, 10) + " MiB"
	case n >= kib && n%kib == 0:
		return strconv.FormatInt(n/kib, 10) + " KiB"
	}
	return grouped(uint64(n)) + " bytes"
}

// perSecond writes a rate of nginx's, as 100r/s.
func perSecond(rate string) string {
	if n, ok := strings.CutSuffix(rate, "r/s"); ok {
		return n + " a second"
	}
	if n, ok := strings.CutSuffix(rate, "r/m"); ok {
		return n + " a minute"
	}
	return rate
}

// frontSize writes a size of nginx's, as 1m.
func frontSize(text string) string {
	for suffix, unit := range map[string]string{"k": " KiB", "m": " MiB", "g": " GiB"} {
		if n, ok := strings.CutSuffix(strings.ToLower(text), suffix); ok {
			return n + unit
		}
	}
	return text + " bytes"
}
