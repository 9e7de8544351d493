package mongostore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/bson"

	feedstore "pharos/feed/mongostore"
	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/mongostore"
)

// open returns a connection to a database of the test's own.
func open(t testing.TB) *mongostore.Client {
	c, _ := openAt(t)
	return c
}

// openAt returns its URI, too.
func openAt(t testing.TB) (*mongostore.Client, string) {
	cfg := teststack.Config[feedstore.SetupConfig](t)
	own := teststack.Config[mongostore.Config](t)
	own.URI = strings.Replace(cfg.URI, "/pharos?", "/test_"+uuid.NewString()+"?", 1)
	cfg.URI = own.URI
	if err := feedstore.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c, err := mongostore.Open(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Drop(context.Background()); err != nil {
			t.Log(err)
		}
		if err := c.Close(context.Background()); err != nil {
			t.Log(err)
		}
	})
	return c, own.URI
}

func received(t *testing.T, text string) shop.Received {
	t.Helper()
	e, err := shop.ParseEvent([]byte(text), time.Now())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return shop.Received{Event: e, TraceID: "0af7651916cd43dd8448eb211c80319c", ReceivedAt: time.Now()}
}

func view(id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"shop.view","time":"2026-01-31T12:00:00.123Z",
		"data":{"session_id":"s","product_id":"p"%s}}`, id, data)
}

func TestEventsAreKeptOnceAndWhole(t *testing.T) {
	c := open(t)
	store := c.NewEvents(mongostore.EventsConfig{Retention: time.Hour})
	for _, ttl := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour} { // made, there, changed
		store = c.NewEvents(mongostore.EventsConfig{Retention: ttl})
		if err := store.EnsureIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	odd := `,"$oid":"x","a.b":{"$date":1,"":[1,2.50,1e400,12345678901234567890,true,null,{"c":"ü"}]},"twice":1,"twice":2`
	batch := []shop.Received{received(t, view("1", odd)), received(t, view("2", "")), received(t, view("1", ""))}
	broken := batch[0]
	broken.ID, broken.Raw = "broken", json.RawMessage(`{"a":`)
	batch = append(batch, broken, received(t, view("3", "")))
	for range 2 {
		failed, err := store.Insert(t.Context(), batch)
		if err != nil || len(failed) != 1 || failed[3] == nil {
			t.Fatalf("failed %v, error %v", failed, err)
		}
	}
	type document struct {
		Key     string `bson:"_id"`
		Type    string
		Time    time.Time
		TraceID string `bson:"trace_id"`
		Event   struct{ Data bson.Raw }
	}
	var docs []document
	if err := c.Find(t.Context(), "shop_events", &docs); err != nil {
		t.Fatal(err)
	}
	if len(docs) != 3 {
		t.Fatalf("%d documents", len(docs))
	}
	i := slices.IndexFunc(docs, func(d document) bool { return d.Key == batch[0].Key() })
	if d := docs[i]; d.Type != shop.TypeView || d.TraceID != batch[0].TraceID || !d.Time.Equal(batch[0].Time) {
		t.Errorf("%+v", d)
	}
	const want = `{"session_id": "s","product_id": "p","$oid": "x","a.b": {"$date": {"$numberLong":"1"},` +
		`"": [{"$numberLong":"1"},{"$numberDecimal":"2.50"},{"$numberDecimal":"1E+400"},{"$numberDecimal":"12345678901234567890"},true,null,{"c": "ü"}]},` +
		`"twice": {"$numberLong":"2"}}`
	if got := docs[i].Event.Data.String(); got != want {
		t.Errorf("kept\n%s instead of\n%s", got, want)
	}
}

// model is what analytics must arrive at, computed the plain way.
type model struct {
	counts   map[string]shop.Counts // window|dimension|value
	visitors map[string]map[string]bool
	stages   map[string]map[string]shop.Stage
}

func expect(events []shop.Event) model {
	m := model{map[string]shop.Counts{}, map[string]map[string]bool{}, map[string]map[string]shop.Stage{}}
	for _, e := range events {
		for _, size := range []shop.Size{shop.Minute, shop.Hour} {
			w := shop.WindowOf(size, e.Time).String()
			for dim, value := range map[shop.Dimension]string{shop.Total: "", shop.ByCategory: e.Data.Category, shop.ByCountry: e.Data.Country, shop.ByProduct: e.Data.ProductID} {
				if dim != shop.Total && value == "" {
					continue
				}
				key := fmt.Sprintf("%s|%s|%s", w, dim, value)
				c := m.counts[key]
				c.Events++
				switch e.Type {
				case shop.TypeView:
					c.Views++
				case shop.TypeAction:
					c.Actions++
				case shop.TypeCart:
					c.Carts++
				case shop.TypePurchase:
					c.Purchases++
					if c.Revenue == nil {
						c.Revenue = map[string]int64{}
					}
					c.Revenue[e.Data.Amount.Currency] += e.Data.Amount.Minor
				}
				m.counts[key] = c
				if dim != shop.ByProduct {
					if m.visitors[key] == nil {
						m.visitors[key] = map[string]bool{}
					}
					m.visitors[key][e.Visitor()] = true
				}
			}
			if m.stages[w] == nil {
				m.stages[w] = map[string]shop.Stage{}
			}
			s := m.stages[w][e.Data.SessionID]
			s.Viewed = s.Viewed || e.Type == shop.TypeView
			s.Carted = s.Carted || e.Type == shop.TypeCart
			s.Purchased = s.Purchased || e.Type == shop.TypePurchase
			m.stages[w][e.Data.SessionID] = s
		}
	}
	return m
}

// sum adds up documents as a reader of Elasticsearch does.
func sum(t *testing.T, docs []shop.Document) map[string]map[string]int64 {
	t.Helper()
	out := map[string]map[string]int64{}
	for _, d := range docs {
		var body map[string]any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, body["@timestamp"].(string))
		if err != nil {
			t.Fatal(err)
		}
		dim := body["shop.dimension"].(string)
		value, _ := body["shop."+dim].(string)
		key := fmt.Sprintf("%s|%s|%s", shop.Window{Size: shop.Size(body["shop.window.size"].(string)), Start: at}, dim, value)
		if out[key] == nil {
			out[key] = map[string]int64{}
		}
		for name, v := range body {
			if n, ok := v.(float64); ok && name != "shop.revision" {
				if out[key][name] += int64(n); out[key][name] == 0 {
					delete(out[key], name)
				}
			}
		}
	}
	return out
}

func (m model) asSums() map[string]map[string]int64 {
	out := map[string]map[string]int64{}
	for key, c := range m.counts {
		s := map[string]int64{
			"shop.events": c.Events, "shop.views": c.Views, "shop.actions": c.Actions, "shop.carts": c.Carts, "shop.purchases": c.Purchases,
			"shop.visitors": int64(len(m.visitors[key])),
		}
		for currency, minor := range c.Revenue {
			s["shop.revenue_minor."+currency] = minor
		}
		if w, ok := strings.CutSuffix(key, "|total|"); ok {
			var f shop.Funnel
			for _, stage := range m.stages[w] {
				f.Count(stage, 1)
			}
			s["shop.funnel.viewed"], s["shop.funnel.carted"], s["shop.funnel.purchased"] = f.Viewed, f.Carted, f.Purchased
		}
		maps.DeleteFunc(s, func(_ string, n int64) bool { return n == 0 })
		out[key] = s
	}
	return out
}

// randomEvents returns events of three hours, n of them, in no order.
func randomEvents(t *testing.T, random *rand.Rand, n int) []shop.Received {
	base := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var out []shop.Received
	for i := range n {
		at := base.Add(time.Duration(random.IntN(3*3600*4)) * time.Second / 4)
		kind := shop.Types()[random.IntN(4)]
		data := map[string]any{
			"session_id": fmt.Sprint("s", random.IntN(40)), "product_id": fmt.Sprint("p|", random.IntN(12)), "action": "zoom",
			"quantity": 1, "order_id": fmt.Sprint(i), "currency": []string{"EUR", "JPY"}[random.IntN(2)], "amount": random.IntN(1000),
		}
		if random.IntN(3) > 0 {
			data["user_id"] = fmt.Sprint("u", random.IntN(20))
			data["category"] = []string{"shoes", "total", "a.$b|c"}[random.IntN(3)]
			data["country"] = []string{"DE", "FR"}[random.IntN(2)]
		}
		text, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": fmt.Sprint(i), "source": "/shop", "type": kind, "time": at.Format(time.RFC3339Nano), "data": data,
		})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, received(t, string(text)))
	}
	return out
}

// Several processes count the same events, each of them more than once, while
// others close windows at every moment. The sum of the documents is the truth.
func TestCountsAreExactWhateverHappensAtOnce(t *testing.T) {
	c := open(t)
	state := c.NewAnalytics("test", tenYears)
	for range 2 {
		if err := state.EnsureIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	events := randomEvents(t, random, 600)
	var plain []shop.Event
	for _, e := range events {
		plain = append(plain, e.Event)
	}
	far := time.Now().Add(24 * time.Hour)
	settle := func() {
		due, err := state.Due(t.Context(), far, far, 1000)
		if err != nil {
			t.Error(err)
			return
		}
		for _, w := range due {
			if _, err := state.Settle(t.Context(), w, func(now map[shop.Group]shop.Figures, before shop.Ledger) ([]shop.Document, shop.Ledger, error) {
				return shop.Revise(w, now, before, shop.RevisionOptions{Top: 1000, Fields: map[string]string{"cloud.region": "test"}})
			}); err != nil {
				t.Error(err)
			}
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 3 {
		mine := slices.Clone(events)
		random.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		wg.Go(func() {
			for batch := range slices.Chunk(mine, 40) {
				a, err := state.Apply(t.Context(), append(batch, batch[0]), time.Time{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				applied += a.New
				mu.Unlock()
			}
		})
	}
	counted := make(chan struct{})
	wg.Go(func() {
		for range 2 {
			settle()
			time.Sleep(300 * time.Millisecond)
		}
	})
	go func() { wg.Wait(); close(counted) }()
	<-counted
	settle()
	settle() // nothing is left to do
	if applied != len(events) {
		t.Errorf("%d events were counted instead of %d", applied, len(events))
	}
	docs, err := state.Outbox(t.Context(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expect(plain).asSums(), sum(t, docs)); diff != "" {
		t.Errorf("sums of documents (-want +got):\n%s", diff)
	}
	newest, err := state.Newest(t.Context())
	want := slices.MaxFunc(plain, func(a, b shop.Event) int { return a.Time.Compare(b.Time) }).Time
	if err != nil || !newest.Equal(want) {
		t.Errorf("newest %s instead of %s, error %v", newest, want, err)
	}
	if err := state.Sent(t.Context(), docs, map[string]string{docs[0].ID: "no"}); err != nil {
		t.Fatal(err)
	}
	if docs, err := state.Outbox(t.Context(), 10); err != nil || len(docs) != 0 {
		t.Errorf("%d documents are left, error %v", len(docs), err)
	}
}

func TestDueWindows(t *testing.T) {
	c := open(t)
	state := c.NewAnalytics("test", tenYears)
	if err := state.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if newest, err := state.Newest(t.Context()); err != nil || !newest.IsZero() {
		t.Errorf("newest %s %v", newest, err)
	}
	e := received(t, view("1", ""))
	end := time.Date(2026, 1, 31, 12, 1, 0, 0, time.UTC)
	applied, err := state.Apply(t.Context(), []shop.Received{e}, end)
	if err != nil || applied.New != 1 || applied.Late != 1 {
		t.Errorf("applied %+v, error %v", applied, err)
	}
	later := time.Now().Add(time.Minute)
	for name, tt := range map[string]struct {
		mark, changed time.Time
		want          int
	}{
		"before its end":           {end.Add(-time.Millisecond), later, 0},
		"at its end":               {end, later, 1},
		"after the hour, too":      {end.Add(time.Hour), later, 2},
		"changed a moment ago":     {end, time.Now().Add(-time.Minute), 0},
		"long after, but just now": {end.Add(time.Hour), time.Now().Add(-time.Minute), 0},
	} {
		due, err := state.Due(t.Context(), tt.mark, tt.changed, 10)
		if err != nil || len(due) != tt.want {
			t.Errorf("%s: %v %v", name, due, err)
		}
	}
}
