package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/shop"
)

// fakeBus keeps what is published, and which keys are remembered.
type fakeBus struct {
	published []shop.Message
	known     map[string]bool
	err       error // of Publish
	dedupeErr error
}

func (b *fakeBus) Publish(_ context.Context, messages []shop.Message) error {
	if b.err != nil {
		return b.err
	}
	b.published = append(b.published, messages...)
	return nil
}

func (b *fakeBus) Seen(_ context.Context, keys []string) ([]bool, error) {
	if b.dedupeErr != nil {
		return nil, b.dedupeErr
	}
	seen := make([]bool, len(keys))
	for i, k := range keys {
		seen[i] = b.known[k]
	}
	return seen, nil
}

func (b *fakeBus) Remember(_ context.Context, keys []string) error {
	for _, k := range keys {
		b.known[k] = true
	}
	return b.dedupeErr
}

func eventsHandler(t *testing.T, bus *fakeBus) http.Handler {
	t.Helper()
	bus.known = map[string]bool{}
	tel, err := obs.Discard("api")
	if err != nil {
		t.Fatal(err)
	}
	events := NewEvents(EventsOptions{
		Bus: bus, Dedupe: bus, Limits: shop.Limits{Future: time.Minute, Age: time.Hour},
		Metrics: shop.NewPublisherMetrics(prometheus.NewRegistry()), Now: time.Now,
	})
	r := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	r.POST("/v1/events", events.Post)
	return r
}

func postEvents(h http.Handler, mediaType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func shopView(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"shop.view","data":{"session_id":"s","product_id":"p"}}`, id)
}

func items(t *testing.T, w *httptest.ResponseRecorder) []eventResult {
	t.Helper()
	var out eventResults
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Items == nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	for i := range out.Items {
		if out.Items[i].Status == eventDuplicate {
			out.Items[i].Detail = ""
		}
	}
	return out.Items
}

func TestPostEvents(t *testing.T) {
	bus := &fakeBus{}
	h := eventsHandler(t, bus)
	w := postEvents(h, "application/cloudevents+json", shopView("a"))
	if diff := cmp.Diff([]eventResult{{ID: "a", Status: eventAccepted}}, items(t, w)); w.Code != http.StatusAccepted || diff != "" {
		t.Errorf("one event: %d\n%s", w.Code, diff)
	}
	if m := bus.published[0]; m.Key != "session s" || m.TraceParent[3:35] != w.Header().Get(httpserver.TraceIDHeader) || m.PublishedAt.IsZero() {
		t.Errorf("message %+v", m)
	}
	batch := "[" + strings.Join([]string{shopView("a"), shopView("b"), shopView("b"), `{"id":"c"}`, shopView("")}, ",") + "]"
	for _, mediaType := range []string{"application/cloudevents-batch+json", "application/json; charset=utf-8"} {
		bus.published = nil
		delete(bus.known, key(t, "b"))
		w = postEvents(h, mediaType, batch)
		want := []eventResult{
			{ID: "a", Status: eventDuplicate}, {ID: "b", Status: eventAccepted}, {ID: "b", Status: eventDuplicate},
			{ID: "c", Status: eventInvalid, Detail: "source: is missing"}, {Status: eventInvalid, Detail: "id: must have 1 to 256 bytes"},
		}
		if diff := cmp.Diff(want, items(t, w)); w.Code != http.StatusAccepted || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", mediaType, w.Code, diff)
		}
		if len(bus.published) != 1 {
			t.Errorf("%d messages", len(bus.published))
		}
	}
	if w := postEvents(h, "application/json", "[]"); w.Code != http.StatusAccepted || len(items(t, w)) != 0 {
		t.Errorf("an empty batch: %d %s", w.Code, w.Body)
	}
}

func key(t *testing.T, id string) string {
	t.Helper()
	e, err := shop.ParseEvent([]byte(shopView(id)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e.Key()
}

func TestPostEventsThatCantBeRead(t *testing.T) {
	h := eventsHandler(t, &fakeBus{})
	for name, tt := range map[string]struct {
		mediaType, body string
		status          int
		code            fault.Code
	}{
		"no media type":    {"", shopView("a"), 415, fault.UnsupportedMedia},
		"other media type": {"text/plain", shopView("a"), 415, fault.UnsupportedMedia},
		"no JSON":          {"application/json", "id=1", 400, fault.MalformedBody},
		"no body":          {"application/json", "", 400, fault.MalformedBody},
		"a string":         {"application/json", `"a"`, 400, fault.MalformedBody},
		"too many":         {"application/json", "[" + strings.TrimSuffix(strings.Repeat("{},", 501), ",") + "]", 422, fault.LimitExceeded},
		"too large":        {"application/json", `{"a":"` + strings.Repeat("x", eventsBodyLimit) + `"}`, 413, fault.BodyTooLarge},
	} {
		w := postEvents(h, tt.mediaType, tt.body)
		var p fault.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != tt.status || p.Type != "/problems/"+string(tt.code) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// An event that did not get onto the bus is not remembered: the client's next
// try is no duplicate.
func TestPostEventsWhileTheBusIsAway(t *testing.T) {
	bus := &fakeBus{err: errors.New("redis: connection refused 10.0.0.1")}
	h := eventsHandler(t, bus)
	w := postEvents(h, "application/json", shopView("a"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	bus.err = nil
	if got := items(t, postEvents(h, "application/json", shopView("a"))); got[0].Status != eventAccepted {
		t.Errorf("the second try: %+v", got)
	}
	bus.dedupeErr = errors.New("away")
	if got := items(t, postEvents(h, "application/json", shopView("a"))); got[0].Status != eventAccepted {
		t.Errorf("without memory: %+v", got)
	}
}
