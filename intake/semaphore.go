package intake

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// patientSemaphore limits how long Acquire waits, so that an agent is told to
// back off rather than kept hanging.
type patientSemaphore struct {
	*semaphore.Weighted
	wait time.Duration
}

// Acquire returns errBusy when there was no room in time, and ctx's error when
// it ended first.
func (s patientSemaphore) Acquire(ctx context.Context, n int64) error {
	limited, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	if s.Weighted.Acquire(limited, n) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errBusy
}
