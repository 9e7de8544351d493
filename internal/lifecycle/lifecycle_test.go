package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pharos/internal/lifecycle"
)

func TestStopIsLastInFirstOutAndOnce(t *testing.T) {
	l := lifecycle.New(zap.NewNop(), time.Second)
	var order []string
	for _, name := range []string{"store", "cache", "server"} {
		l.OnStop(name, func(context.Context) error {
			order = append(order, name)
			if name == "cache" {
				return errors.New("broken")
			}
			return nil
		})
	}
	err := l.Stop()
	if !slices.Equal(order, []string{"server", "cache", "store"}) {
		t.Errorf("order %v", order)
	}
	if err == nil || !strings.Contains(err.Error(), "stop cache: broken") {
		t.Errorf("error %v", err)
	}
	if err := l.Stop(); err != nil || len(order) != 3 {
		t.Errorf("a second Stop did something: %v %v", err, order)
	}
}

func TestStopHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lifecycle.New(zap.NewNop(), 3*time.Second)
		closed := false
		l.OnStop("store", func(context.Context) error { closed = true; return nil })
		stuck := make(chan struct{})
		l.Go("stuck", func(context.Context) error { <-stuck; return nil })
		start := time.Now()
		err := l.Stop()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !closed {
			t.Errorf("error %v, store closed %v", err, closed)
		}
		close(stuck)
	})
}

func TestWaitReturnsAFailure(t *testing.T) {
	l := lifecycle.New(zap.NewNop(), time.Second)
	l.Go("listener", func(context.Context) error { return errors.New("port gone") })
	if err := l.Wait(t.Context()); err == nil || err.Error() != "listener: port gone" {
		t.Errorf("got %v", err)
	}
}

func TestGoIsCancelledOnStop(t *testing.T) {
	l := lifecycle.New(zap.NewNop(), time.Second)
	ended := false
	l.Go("loop", func(ctx context.Context) error { <-ctx.Done(); ended = true; return ctx.Err() })
	if err := l.Stop(); err != nil || !ended {
		t.Errorf("error %v, ended %v", err, ended)
	}
}
