package feed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"
)

// pages makes each page once at a time, however many ask for it: after a change
// or an expiry, a crowd of equal requests costs the stores one.
type pages struct {
	make   func(context.Context, PageKey) (Page, error)
	limit  time.Duration // for making a page
	report Report
	flight singleflight.Group
}

// get returns the page that is being made, or makes it. The making goes on when
// the one who began it goes away: others may wait for it.
func (p *pages) get(ctx context.Context, key PageKey) (Page, error) {
	select {
	case r := <-p.start(ctx, key):
		page, _ := r.Val.(Page)
		return page, r.Err
	case <-ctx.Done():
		return Page{}, fmt.Errorf("wait for timeline: %w", ctx.Err())
	}
}

// refresh makes the page in the background, unless it is being made already.
func (p *pages) refresh(ctx context.Context, key PageKey) {
	ctx = context.WithoutCancel(ctx)
	done := p.start(ctx, key)
	go func() {
		if r := <-done; r.Err != nil && !errors.Is(r.Err, context.Canceled) {
			p.report(ctx, fmt.Errorf("refresh timeline: %w", r.Err))
		}
	}()
}

func (p *pages) start(ctx context.Context, key PageKey) <-chan singleflight.Result {
	name := key.UserID + " " + strconv.Itoa(key.Limit) + " " + key.Before
	return p.flight.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.limit)
		defer cancel()
		return p.make(ctx, key)
	})
}
