package shop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pharos/shop"
)

// state is an AnalyticsState that notes what it is asked.
type state struct {
	applied   []time.Time // watermarks
	newest    time.Time
	mark, old time.Time // of the last Due
	due       []shop.Window
	outbox    []shop.Document
	sent      []string
}

func (s *state) Apply(_ context.Context, events []shop.Received, mark time.Time) (shop.Applied, error) {
	s.applied = append(s.applied, mark)
	for _, e := range events {
		if e.Time.After(s.newest) {
			s.newest = e.Time
		}
	}
	return shop.Applied{New: len(events), Newest: s.newest}, nil
}

func (s *state) Newest(context.Context) (time.Time, error) { return s.newest, nil }

func (s *state) Due(_ context.Context, mark, changed time.Time, _ int) ([]shop.Window, error) {
	s.mark, s.old = mark, changed
	return s.due, nil
}

func (s *state) Settle(_ context.Context, w shop.Window, revise func(map[shop.Group]shop.Figures, shop.Ledger) ([]shop.Document, shop.Ledger, error)) (int, error) {
	docs, _, err := revise(map[shop.Group]shop.Figures{{Dimension: shop.Total}: figures(1, 1, nil)}, shop.Ledger{})
	s.outbox = append(s.outbox, docs...)
	s.due = nil
	return len(docs), err
}

func (s *state) Outbox(context.Context, int) ([]shop.Document, error) { return s.outbox, nil }

func (s *state) Sent(_ context.Context, docs []shop.Document, _ map[string]string) error {
	for _, d := range docs {
		s.sent = append(s.sent, d.ID)
	}
	s.outbox = nil
	return nil
}

type store struct {
	err     error
	created []string
	refuse  bool
}

func (s *store) Create(_ context.Context, docs []shop.Document) (map[string]string, error) {
	if s.err != nil {
		return nil, s.err
	}
	refused := map[string]string{}
	for _, d := range docs {
		s.created = append(s.created, d.ID)
		if s.refuse {
			refused[d.ID] = "no"
		}
	}
	return refused, nil
}

func event(at time.Time) shop.Received {
	return shop.Received{Event: shop.Event{ID: at.String(), Type: shop.TypeView, Time: at, Data: shop.Data{SessionID: "s"}}}
}

func TestAnalytics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, es := &state{}, &store{}
		var lag int64
		reg := prometheus.NewRegistry()
		a := shop.NewAnalytics(shop.AnalyticsOptions{
			AnalyticsConfig: shop.AnalyticsConfig{
				Delay: 30 * time.Second, Idle: time.Minute, Every: 5 * time.Second, Gather: 10 * time.Second, Top: 10, StateTTL: 24 * time.Hour,
			},
			State: s, Windows: es, Lag: func(context.Context) (int64, error) { return lag, nil }, Fields: map[string]string{"cloud.region": "eu"},
			Metrics: reg, Report: func(context.Context, error) {}, Now: time.Now,
		})
		ctx := t.Context()
		apply := func(events ...shop.Received) {
			t.Helper()
			if failed, err := a.Apply(ctx, events); err != nil || len(failed) != 0 {
				t.Fatal(failed, err)
			}
		}
		settle := func() {
			t.Helper()
			if err := a.Settle(ctx); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		if !s.mark.IsZero() {
			t.Errorf("watermark %s without an event", s.mark)
		}
		start := time.Now()
		apply(event(start))
		settle()
		if !s.mark.Equal(start.Add(-30*time.Second)) || !s.old.Equal(start.Add(-10*time.Second)) {
			t.Errorf("watermark %s, changes before %s", s.mark, s.old)
		}
		apply(event(start.Add(-time.Hour))) // late: it does not put the watermark back
		settle()
		if last := s.applied[len(s.applied)-1]; !last.Equal(start.Add(-30*time.Second)) || !s.mark.Equal(last) {
			t.Errorf("watermark went from %s to %s", last, s.mark)
		}

		// Silence with a backlog is no silence: the events are still to come.
		lag = 5
		time.Sleep(2 * time.Minute)
		settle()
		if !s.mark.Equal(start.Add(-30 * time.Second)) {
			t.Errorf("watermark %s while messages wait", s.mark)
		}
		lag = 0
		settle()
		if !s.mark.Equal(time.Now().Add(-30 * time.Second)) {
			t.Errorf("watermark %s in silence", s.mark)
		}

		failed, err := a.Apply(ctx, []shop.Received{event(time.Now()), event(time.Now().Add(-25 * time.Hour))})
		if err != nil || len(failed) != 1 || failed[1] == nil {
			t.Errorf("an event whose window is forgotten: %v %v", failed, err)
		}

		// What could not be written waits, and is written later.
		s.due, es.err = []shop.Window{shop.WindowOf(shop.Minute, start)}, errors.New("away")
		if err := a.Settle(ctx); err == nil || len(s.outbox) != 1 {
			t.Errorf("error %v with %d documents in the outbox", err, len(s.outbox))
		}
		es.err, es.refuse = nil, true
		settle()
		if len(es.created) != 1 || len(s.sent) != 1 || len(s.outbox) != 0 {
			t.Errorf("created %v, sent %v", es.created, s.sent)
		}
		if n := counter(t, reg, "shop_documents_refused_total"); n != 1 {
			t.Errorf("%v refused", n)
		}
	})
}
