package funcmetrics

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Batch is records that one saver has taken.
type Batch struct {
	ID      string // empty where there was nothing to take
	Records []Record
	// Rejected is how many entries of the list were no valid records. They have
	// been put aside and are removed with the batch.
	Rejected int
}

// Queue is the list that recorders push on, as a saver sees it.
type Queue interface {
	// Len is how many records nobody has taken yet.
	Len(ctx context.Context) (int, error)
	// Take moves up to limit of the oldest records, at once, to where only the
	// caller takes them from until the lease ends. A batch whose lease has
	// ended comes before new records.
	Take(ctx context.Context, limit int, lease time.Duration) (Batch, error)
	// Remove forgets a batch that is saved. Removing it again is no error.
	Remove(ctx context.Context, id string) error
}

// Store keeps records for good.
type Store interface {
	// Insert saves records, all or none. One that is saved already stays as it
	// is and is not counted again.
	Insert(ctx context.Context, rs []Record) error
}

// SaverConfig is when and how a saver saves.
type SaverConfig struct {
	Every time.Duration `env:"FUNCMETRICS_SAVE_EVERY" envDefault:"30s"`
	Limit int           `env:"FUNCMETRICS_SAVE_LIMIT" envDefault:"1000"` // so many records are saved at once
	Batch int           `env:"FUNCMETRICS_SAVE_BATCH" envDefault:"500"`  // records of one transaction
	// Look is how often the length of the list is compared with Limit.
	Look time.Duration `env:"FUNCMETRICS_LOOK_EVERY" envDefault:"200ms"`
	// Lease is how long a batch belongs to the saver that took it. A saver that
	// is slower does no harm: the batch is only saved a second time, in vain.
	Lease time.Duration `env:"FUNCMETRICS_LEASE" envDefault:"30s"`
	// Keep is how long single records are kept in MySQL; 0s keeps them for good.
	// Their sums by hour always are.
	Keep time.Duration `env:"FUNCMETRICS_KEEP" envDefault:"720h"`
}

// Validate implements env.Validator.
func (c SaverConfig) Validate() error {
	switch {
	case c.Every <= 0:
		return errors.New("FUNCMETRICS_SAVE_EVERY must be more than 0s")
	case c.Limit < 1:
		return errors.New("FUNCMETRICS_SAVE_LIMIT must be at least 1")
	case c.Batch < 1 || c.Batch > MaxBatch:
		return fmt.Errorf("FUNCMETRICS_SAVE_BATCH must be from 1 to %d", MaxBatch)
	case c.Look <= 0:
		return errors.New("FUNCMETRICS_LOOK_EVERY must be more than 0s")
	case c.Lease < time.Second:
		return errors.New("FUNCMETRICS_LEASE must be at least 1s")
	case c.Keep < 0:
		return errors.New("FUNCMETRICS_KEEP must not be negative")
	}
	return nil
}

// Saver moves records from the queue into the store. Any number of savers may
// run at once, in any number of processes.
//
// A batch is taken, inserted, and only then removed. Taking and inserting are
// atomic, inserting twice is harmless, and a batch that a crashed saver leaves
// behind is taken again by any other. So no crash loses or doubles a record.
type Saver struct {
	queue  Queue
	store  Store
	cfg    SaverConfig
	report Report
	stats  SaverStats
}

// SaverStats counts what a saver did.
type SaverStats struct {
	Saved    atomic.Int64
	Rejected atomic.Int64 // entries of the list that were no valid records
	Failures atomic.Int64 // attempts to save that failed
}

// NewSaver returns a Saver; the caller runs [Saver.Run].
func NewSaver(q Queue, s Store, cfg SaverConfig, report Report) *Saver {
	return &Saver{queue: q, store: s, cfg: cfg, report: report}
}

// Stats are the saver's counts so far.
func (s *Saver) Stats() *SaverStats { return &s.stats }

const (
	stepTimeout = 10 * time.Second
	savePause   = time.Second // after a failure
)

// Run saves every [SaverConfig.Every], and at once when the list has reached
// [SaverConfig.Limit], until ctx ends. What is on the list then waits there.
func (s *Saver) Run(ctx context.Context) error {
	var (
		look    = time.NewTicker(s.cfg.Look)
		saved   = time.Now()
		failing = false
	)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		due, err := failing || time.Since(saved) >= s.cfg.Every, error(nil)
		if !due {
			due, err = s.full(ctx)
		}
		if due && err == nil {
			if err = s.Save(ctx); err == nil {
				saved = time.Now()
			}
		}
		if err == nil || ctx.Err() != nil {
			failing = false
			continue
		}
		s.stats.Failures.Add(1)
		if !failing {
			s.report(ctx, fmt.Errorf("save function metrics (they wait in Redis): %w", err))
			failing = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(savePause):
		}
	}
}

func (s *Saver) full(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	n, err := s.queue.Len(ctx)
	return n >= s.cfg.Limit, err
}

// Save saves everything that is on the list.
func (s *Saver) Save(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := s.saveBatch(ctx)
		if err != nil || !more {
			return err
		}
	}
	return ctx.Err()
}

func (s *Saver) saveBatch(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	b, err := s.queue.Take(ctx, s.cfg.Batch, s.cfg.Lease)
	if err != nil || b.ID == "" {
		return false, err
	}
	if b.Rejected > 0 {
		s.stats.Rejected.Add(int64(b.Rejected))
		s.report(ctx, fmt.Errorf("%d entries of the list of function metrics are no valid records and were put aside", b.Rejected))
	}
	if len(b.Records) > 0 {
		if err := s.store.Insert(ctx, b.Records); err != nil {
			return false, err
		}
	}
	if err := s.queue.Remove(ctx, b.ID); err != nil {
		return false, err
	}
	s.stats.Saved.Add(int64(len(b.Records)))
	return true, nil
}
