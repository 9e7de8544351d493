package funcmetrics_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pharos/funcmetrics"
)

// archive has so many old records. It answers err once.
type archive struct {
	old    int
	err    error
	before int64
}

func (a *archive) Forget(_ context.Context, before int64, limit int) (int, error) {
	if err := a.err; err != nil {
		a.err = nil
		return 0, err
	}
	n := min(limit, a.old)
	a.old, a.before = a.old-n, before
	return n, nil
}

func TestPruner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, reports := &archive{old: 12_000, err: errors.New("away")}, 0
		p := funcmetrics.Pruner{Archive: a, Keep: time.Hour, Now: time.Now, Report: func(context.Context, error) { reports++ }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(11 * time.Minute)
		cancel()
		if err := <-done; err != nil || a.old != 0 || reports != 1 || a.before != time.Now().Add(-61*time.Minute).Unix() {
			t.Errorf("%d old records are left, %d reports, before %d, %v", a.old, reports, a.before, err)
		}
		p.Keep, a.old = 0, 1
		if err := p.Run(t.Context()); err != nil || a.old != 1 {
			t.Errorf("what is to be kept is gone (%v)", err)
		}
	})
}
