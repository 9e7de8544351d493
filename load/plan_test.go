package load_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/load"
	"pharos/shop"
)

func config() load.PlanConfig {
	return load.PlanConfig{
		Seed: 7, Rate: 50, Users: 20, Mix: load.DefaultMix(), Run: "r1", Start: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	}
}

func take(cfg load.PlanConfig, n int) []load.Request {
	p := load.NewPlan(cfg)
	out := make([]load.Request, n)
	for i := range out {
		out[i] = p.Next()
	}
	return out
}

func TestEqualSeedsMakeEqualPlans(t *testing.T) {
	one, same := take(config(), 5000), take(config(), 5000)
	if !reflect.DeepEqual(one, same) {
		t.Error("two plans of one seed differ")
	}
	other := config()
	other.Seed = 8
	if reflect.DeepEqual(one[:100], take(other, 100)) {
		t.Error("plans of two seeds are equal")
	}
}

func TestArrivals(t *testing.T) {
	const n = 20_000
	for _, constant := range []bool{true, false} {
		cfg := config()
		cfg.Constant = constant
		plan := take(cfg, n)
		var last, sum, squares float64
		for _, r := range plan {
			gap := r.At.Seconds() - last
			last = r.At.Seconds()
			sum, squares = sum+gap, squares+gap*gap
		}
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		want := 0.02 // the gaps of a Poisson process deviate by as much as their mean
		if constant {
			want = 0
		}
		if math.Abs(mean-.02) > .0005 || math.Abs(deviation-want) > .001 {
			t.Errorf("constant %v: gaps of %.4f s ± %.4f s", constant, mean, deviation)
		}
	}
}

func TestMixAndUsers(t *testing.T) {
	const n = 20_000
	kinds, users := map[load.Kind]int{}, map[int]int{}
	for _, r := range take(config(), n) {
		kinds[r.Kind]++
		if r.User != load.Nobody {
			users[r.User]++
		}
		signed := r.User != load.Nobody
		if needs := r.Kind == load.Feed || r.Kind == load.Post || r.Kind == load.Shop; needs && !signed || r.User >= 20 {
			t.Fatalf("user %d for %s %s", r.User, r.Method, r.Path)
		}
		if (r.Kind == load.Bad) != (r.Want >= 400) {
			t.Fatalf("%s wants %d", r.Kind, r.Want)
		}
	}
	for kind, weight := range load.DefaultMix() {
		if got := 100 * float64(kinds[kind]) / n; math.Abs(got-float64(weight)) > 1.5 {
			t.Errorf("%s: %.1f %% instead of %d", kind, got, weight)
		}
	}
	if len(users) != 20 {
		t.Errorf("%d of 20 users came", len(users))
	}
}

// TestShopEventsAreTheShops reads them as api does.
func TestShopEventsAreTheShops(t *testing.T) {
	cfg := config()
	cfg.Mix = load.Mix{load.Shop: 1}
	types, ids, stages := map[string]int{}, map[string]bool{}, map[string][]string{}
	countries, currencies, categories := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range take(cfg, 5000) {
		events, err := shop.ParseBody(r.Body, shop.Limits{Future: time.Minute, Age: time.Hour}, cfg.Start.Add(r.At))
		if err != nil || len(events) < 1 || len(events) > 4 {
			t.Fatalf("%v: %d events in %s", err, len(events), r.Body)
		}
		for _, e := range events {
			if e.Err != nil {
				t.Fatalf("%v: %s", e.Err, e.Event.Raw)
			}
			types[e.Event.Type]++
			ids[e.Event.Key()] = true
			stages[e.Event.Data.SessionID] = append(stages[e.Event.Data.SessionID], e.Event.Type)
			countries[e.Event.Data.Country], categories[e.Event.Data.Category] = true, true
			if m := e.Event.Data.Amount; m != nil {
				currencies[m.Currency] = true
			}
		}
	}
	total := 0
	for _, n := range types {
		total += n
	}
	if len(ids) != total {
		t.Errorf("%d ids for %d events", len(ids), total)
	}
	if v, a, c, p := types[shop.TypeView], types[shop.TypeAction], types[shop.TypeCart], types[shop.TypePurchase]; v <= a || a <= c || c <= p || p == 0 {
		t.Errorf("no funnel: %v", types)
	}
	order := []string{shop.TypeView, shop.TypeAction, shop.TypeCart, shop.TypePurchase}
	for id, stage := range stages {
		if !slices.IsSortedFunc(stage, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) }) {
			t.Fatalf("session %s: %v", id, stage)
		}
	}
	if len(countries) < 5 || len(currencies) < 5 || len(categories) < 5 {
		t.Errorf("countries %v, currencies %v, categories %v", countries, currencies, categories)
	}
}

func TestParseMix(t *testing.T) {
	got, err := load.ParseMix("feed=3, bad=1")
	if err != nil || !reflect.DeepEqual(got, load.Mix{load.Feed: 3, load.Bad: 1}) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "feed", "feed=x", "feed=-1", "tea=1", "feed=0", "feed=99999999999"} {
		if m, err := load.ParseMix(bad); err == nil {
			t.Errorf("%q: %v", bad, m)
		}
	}
}

func TestValidate(t *testing.T) {
	good := load.Limits{Duration: time.Second, InFlight: 1}
	if err := load.Validate(config(), good); err != nil {
		t.Error(err)
	}
	for flag, change := range map[string]func(*load.PlanConfig, *load.Limits){
		"--rate":      func(c *load.PlanConfig, _ *load.Limits) { c.Rate = math.NaN() },
		"--duration":  func(_ *load.PlanConfig, l *load.Limits) { l.Duration = 0 },
		"--users":     func(c *load.PlanConfig, _ *load.Limits) { c.Users = 0 },
		"--in-flight": func(_ *load.PlanConfig, l *load.Limits) { l.InFlight = 0 },
		"--mix":       func(c *load.PlanConfig, _ *load.Limits) { c.Mix = nil },
	} {
		cfg, limits := config(), good
		change(&cfg, &limits)
		if err := load.Validate(cfg, limits); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
