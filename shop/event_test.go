package shop_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/shop"
)

var now = time.Date(2026, 1, 31, 12, 0, 30, 0, time.UTC)

// with returns a valid event of the type with fields changed: null removes one,
// a name with "data." in front is one of data's.
func with(kind string, changes map[string]string) string {
	data := map[string]json.RawMessage{"session_id": []byte(`"s-1"`), "country": []byte(`"DE"`)}
	for name, value := range map[string]map[string]string{
		shop.TypeView:     {"product_id": `"p-1"`, "category": `"shoes"`, "price": `19.90`, "currency": `"EUR"`},
		shop.TypeAction:   {"action": `"zoom"`},
		shop.TypeCart:     {"product_id": `"p-1"`, "quantity": `2`},
		shop.TypePurchase: {"order_id": `"o-1"`, "amount": `"39.80"`, "currency": `"EUR"`, "user_id": `"u-1"`},
	}[kind] {
		data[name] = json.RawMessage(value)
	}
	event := map[string]json.RawMessage{
		"specversion": []byte(`"1.0"`), "id": []byte(`"e-1"`), "source": []byte(`"/shop"`), "time": []byte(`"2026-01-31T13:00:00.5+01:00"`),
	}
	event["type"], _ = json.Marshal(kind)
	set := func(fields map[string]json.RawMessage, name, value string) {
		if fields[name] = json.RawMessage(value); value == "" {
			delete(fields, name)
		}
	}
	late := map[string]string{}
	for name, value := range changes {
		if field, ok := strings.CutPrefix(name, "data."); ok {
			set(data, field, value)
		} else {
			late[name] = value
		}
	}
	event["data"], _ = json.Marshal(data)
	for name, value := range late {
		set(event, name, value)
	}
	text, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestParseEvent(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 500_000_000, time.UTC)
	eur := func(minor int64) *shop.Money { return &shop.Money{Minor: minor, Currency: "EUR"} }
	for kind, want := range map[string]shop.Data{
		shop.TypeView:     {SessionID: "s-1", Country: "DE", ProductID: "p-1", Category: "shoes", Price: eur(1990)},
		shop.TypeAction:   {SessionID: "s-1", Country: "DE", Action: "zoom"},
		shop.TypeCart:     {SessionID: "s-1", Country: "DE", ProductID: "p-1", Quantity: 2},
		shop.TypePurchase: {SessionID: "s-1", Country: "DE", OrderID: "o-1", UserID: "u-1", Amount: eur(3980)},
	} {
		text := with(kind, map[string]string{"data.more": `{"x":[1.0]}`, "extension": `"kept"`})
		e, err := shop.ParseEvent([]byte(text), now)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if diff := cmp.Diff(shop.Event{ID: "e-1", Source: "/shop", Type: kind, Time: at, Data: want, Raw: json.RawMessage(text)}, e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestInvalidEventsNameTheField(t *testing.T) {
	long := `"` + strings.Repeat("x", 300) + `"`
	deep := strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)
	for _, tt := range []struct {
		kind, field, value string
		want               string // the field that is named, "" for a valid event
	}{
		{shop.TypeView, "specversion", `"0.3"`, "specversion"},
		{shop.TypeView, "specversion", ``, "specversion"},
		{shop.TypeView, "id", ``, "id"},
		{shop.TypeView, "id", `""`, "id"},
		{shop.TypeView, "id", `7`, "id"},
		{shop.TypeView, "id", long, "id"},
		{shop.TypeView, "id", `"a\nb"`, "id"},
		{shop.TypeView, "source", ``, "source"},
		{shop.TypeView, "source", `"no reference"`, "source"},
		{shop.TypeView, "type", `"shop.refund"`, "type"},
		{shop.TypeView, "type", `null`, "type"},
		{shop.TypeView, "time", `"yesterday"`, "time"},
		{shop.TypeView, "time", `"0000-01-01T00:00:00Z"`, "time"},
		{shop.TypeView, "time", ``, ""},
		{shop.TypeView, "datacontenttype", `"text/xml"`, "datacontenttype"},
		{shop.TypeView, "datacontenttype", `"application/json; charset=utf-8"`, ""},
		{shop.TypeView, "data_base64", `"AA=="`, "data_base64"},
		{shop.TypeView, "data", ``, "data"},
		{shop.TypeView, "data", `[]`, "data"},
		{shop.TypeView, "data.session_id", ``, "data.session_id"},
		{shop.TypeView, "data.session_id", `{}`, "data.session_id"},
		{shop.TypeView, "data.product_id", ``, "data.product_id"},
		{shop.TypeView, "data.country", `"Germany"`, "data.country"},
		{shop.TypeView, "data.country", `"de"`, "data.country"},
		{shop.TypeView, "data.currency", ``, "data.currency"}, // the price needs it
		{shop.TypeView, "data.currency", `"EURO"`, "data.currency"},
		{shop.TypeView, "data.currency", `"ZZZ"`, "data.currency"},
		{shop.TypeView, "data.currency", `"eur"`, "data.currency"},
		{shop.TypeView, "data.currency", `"JPY"`, "data.price"}, // has no decimals
		{shop.TypeView, "data.price", `-1`, "data.price"},
		{shop.TypeView, "data.price", `1e2`, "data.price"},
		{shop.TypeView, "data.price", `1.999`, "data.price"},
		{shop.TypeView, "data.price", `[1]`, "data.price"},
		{shop.TypeView, "data.price", `"1,50"`, "data.price"},
		{shop.TypeView, "data.quantity", `0`, "data.quantity"},
		{shop.TypeView, "data.deep", deep, "data"},
		{shop.TypeView, "data.nul\x00name", `1`, "data"},
		{shop.TypeView, "data.note", `"a\u0000"`, "data"},
		{shop.TypeView, "data.note", `"no NUL: \\u0000 \" [[[ {{{ \\"`, ""},
		{shop.TypeAction, "data.action", ``, "data.action"},
		{shop.TypeAction, "data.product_id", ``, ""},
		{shop.TypeCart, "data.product_id", ``, "data.product_id"},
		{shop.TypeCart, "data.quantity", ``, "data.quantity"},
		{shop.TypeCart, "data.quantity", `1.5`, "data.quantity"},
		{shop.TypeCart, "data.quantity", `"2"`, "data.quantity"},
		{shop.TypePurchase, "data.order_id", ``, "data.order_id"},
		{shop.TypePurchase, "data.amount", ``, "data.amount"},
		{shop.TypePurchase, "data.amount", `99999999999999999999999`, "data.amount"},
		{shop.TypePurchase, "data.amount", `0`, ""},
		{shop.TypePurchase, "data.currency", ``, "data.currency"},
	} {
		name := tt.kind + " with " + tt.field + "=" + tt.value
		e, err := shop.ParseEvent([]byte(with(tt.kind, map[string]string{tt.field: tt.value})), now)
		var invalid *shop.Invalid
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want == "":
		case !errors.As(err, &invalid):
			t.Errorf("%s: %v", name, err)
		case invalid.Field != tt.want || invalid.Detail == "":
			t.Errorf("%s: names %q (%s)", name, invalid.Field, invalid.Detail)
		case tt.field != "id" && e.ID != "e-1":
			t.Errorf("%s: id %q", name, e.ID)
		}
	}
}

func TestAnEventWithoutTimeGetsOne(t *testing.T) {
	e, err := shop.ParseEvent([]byte(with(shop.TypeView, map[string]string{"time": "", "data.note": `"<&>"`})), now)
	if err != nil || !e.Time.Equal(now) {
		t.Fatal(e.Time, err)
	}
	again, err := shop.ParseEvent(e.Raw, now.Add(time.Hour))
	if err != nil || !again.Time.Equal(now) {
		t.Errorf("read again: %s %v", again.Time, err)
	}
}

func TestParseBody(t *testing.T) {
	limits := shop.Limits{Future: time.Minute, Age: time.Hour}
	event := with(shop.TypeView, nil)
	for name, tt := range map[string]struct {
		body string
		n    int
		err  error
	}{
		"one":               {event, 1, nil},
		"one in an array":   {"[" + event + "]", 1, nil},
		"empty batch":       {" [ ] ", 0, nil},
		"a full batch":      {"[" + strings.TrimSuffix(strings.Repeat(event+",", 500), ",") + "]", 500, nil},
		"one too many":      {"[" + strings.TrimSuffix(strings.Repeat(event+",", 501), ",") + "]", 0, shop.ErrTooMany},
		"nothing":           {"", 0, shop.ErrSyntax},
		"no JSON":           {"{", 0, shop.ErrSyntax},
		"more than one":     {event + event, 0, shop.ErrSyntax},
		"a string":          {`"event"`, 0, shop.ErrSyntax},
		"an unclosed array": {"[" + event, 0, shop.ErrSyntax},
	} {
		got, err := shop.ParseBody([]byte(tt.body), limits, now)
		if !errors.Is(err, tt.err) || len(got) != tt.n {
			t.Errorf("%s: %d events, error %v", name, len(got), err)
		}
		for _, p := range got {
			if p.Err != nil {
				t.Errorf("%s: %v", name, p.Err)
			}
		}
	}

	mixed := "[" + strings.Join([]string{
		event, `7`, `null`, with(shop.TypeView, map[string]string{"id": ""}),
		with(shop.TypeView, map[string]string{"time": `"2026-01-31T12:01:31Z"`}),
		with(shop.TypeView, map[string]string{"time": `"2026-01-31T11:00:29Z"`}),
		with(shop.TypeView, map[string]string{"data.large": `"` + strings.Repeat("x", shop.MaxEventBytes) + `"`}),
	}, ",") + "]"
	got, err := shop.ParseBody([]byte(mixed), limits, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "must be a JSON object", "must be a JSON object", "id: is missing", "time: lies in the future", "time: lies more than 1h0m0s back", "is larger than 64 KiB"}
	for i, p := range got {
		text := ""
		if p.Err != nil {
			text = p.Err.Error()
		}
		if text != want[i] {
			t.Errorf("event %d: %q instead of %q", i, text, want[i])
		}
	}
}

func TestKey(t *testing.T) {
	keys := map[string]bool{}
	for _, e := range []shop.Event{{Source: "a", ID: "b"}, {Source: "a", ID: "c"}, {Source: "ab", ID: ""}, {Source: "", ID: "ab"}, {Source: "b", ID: "a"}} {
		keys[e.Key()] = true
	}
	if len(keys) != 5 {
		t.Errorf("%d different keys of 5", len(keys))
	}
}

// What is taken once is taken again, and means the same: consumers read what
// the api has written.
func FuzzDecodeEvents(f *testing.F) {
	for _, kind := range shop.Types() {
		f.Add([]byte(with(kind, nil)))
		f.Add([]byte("[" + with(kind, map[string]string{"time": "", "data.x": `{"$oid":[1e400,-0.0,"\ud800"]}`}) + ",7]"))
	}
	f.Add([]byte(`[{"id":"\u0000"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		parsed, err := shop.ParseBody(body, shop.Limits{Future: time.Hour, Age: 1 << 62}, now)
		if err != nil {
			return
		}
		for _, p := range parsed {
			var invalid *shop.Invalid
			if p.Err != nil {
				if !errors.As(p.Err, &invalid) || invalid.Detail == "" {
					t.Fatalf("not an Invalid: %v", p.Err)
				}
				continue
			}
			again, err := shop.ParseEvent(p.Event.Raw, now.Add(time.Hour))
			if err != nil {
				t.Fatalf("%s was taken, and then not: %v", p.Event.Raw, err)
			}
			if diff := cmp.Diff(p.Event, again); diff != "" {
				t.Fatalf("read again (-first +second):\n%s", diff)
			}
			tally := shop.NewTally([]shop.Event{again}, now)
			if len(tally.Counts) == 0 || len(tally.Sessions) != 1 {
				t.Fatalf("not counted: %+v", tally)
			}
		}
	})
}
