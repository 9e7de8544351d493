package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"pharos/shop"
	"pharos/shop/busconn"
)

// dlqCmd is about dead letters: events that a consumer gave up.
type dlqCmd struct {
	List   dlqList   `cmd:"" help:"List dead letters, oldest first."`
	Show   dlqShow   `cmd:"" help:"Show one with its event."`
	Replay dlqReplay `cmd:"" help:"Put events back on the bus, and drop their dead letters. Consumers that have done an event take no harm."`
	Drop   dlqDrop   `cmd:"" help:"Drop dead letters for good."`
}

const dlqTimeout = time.Minute

// letter is a dead letter as it is printed.
type letter struct {
	ID          string          `json:"id"`
	Group       string          `json:"group"`
	Reason      string          `json:"reason"`
	Tries       int             `json:"tries"`
	FailedAt    time.Time       `json:"failed_at"`
	PublishedAt time.Time       `json:"published_at"`
	TraceID     string          `json:"trace_id,omitempty"`
	Event       json.RawMessage `json:"event,omitempty"`
}

func newLetter(d shop.DeadLetter, whole bool) letter {
	l := letter{
		ID: d.ID, Group: d.Group, Reason: d.Reason, Tries: d.Tries, FailedAt: d.FailedAt,
		PublishedAt: d.Message.PublishedAt, TraceID: d.TraceID,
	}
	if !whole {
		return l
	}
	l.Event = d.Message.Value
	if !json.Valid(d.Message.Value) { // which may be why it is here
		l.Event, _ = json.Marshal(string(d.Message.Value)) // a string always marshals
	}
	return l
}

// onBus runs fn with the bus that BUS names.
func onBus(ctx context.Context, fn func(context.Context, shop.Bus) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, dlqTimeout)
	defer cancel()
	bus, err := busconn.Open(busconn.Options{
		Consumer: "pharos", Report: func(_ context.Context, err error) { fmt.Fprintln(os.Stderr, "pharos:", err) },
	})
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	return fn(ctx, bus)
}

type dlqList struct {
	Limit int `help:"List at most so many." default:"50"`
}

// Run implements the command.
func (l *dlqList) Run(ctx context.Context, c *cli) error {
	return onBus(ctx, func(ctx context.Context, bus shop.Bus) error {
		dead, err := bus.DeadLetters(ctx, l.Limit)
		if err != nil {
			return err
		}
		items := make([]letter, len(dead))
		for i, d := range dead {
			items[i] = newLetter(d, false)
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(map[string]any{"items": items})
		}
		if len(items) == 0 {
			fmt.Println("There are no dead letters.")
			return nil
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, err = fmt.Fprintln(w, "ID\tGROUP\tFAILED\tTRIES\tTRACE\tREASON")
		for _, i := range items {
			// Quoted: a reason may hold anything, and this may be a terminal.
			_, lineErr := fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%.80q\n", i.ID, i.Group, i.FailedAt.Format(time.RFC3339), i.Tries, i.TraceID, i.Reason)
			err = errors.Join(err, lineErr)
		}
		return errors.Join(err, w.Flush())
	})
}

type dlqShow struct {
	ID string `arg:"" help:"Id of the dead letter."`
}

// Run implements the command.
func (s *dlqShow) Run(ctx context.Context) error {
	return onBus(ctx, func(ctx context.Context, bus shop.Bus) error {
		d, err := bus.DeadLetter(ctx, s.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(newLetter(d, true))
	})
}

// selection is which dead letters a command is about.
type selection struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of dead letters."`
	All bool     `help:"All dead letters."`
}

// each does something with every selected dead letter. One that fails does not
// keep the others from being done.
func (s *selection) each(ctx context.Context, c *cli, done string, do func(context.Context, shop.Bus, string) error) error {
	if s.All == (len(s.IDs) > 0) {
		return usageError{errors.New("name ids or --all")}
	}
	return onBus(ctx, func(ctx context.Context, bus shop.Bus) error {
		ids := s.IDs
		if s.All {
			const more = 1 << 20
			dead, err := bus.DeadLetters(ctx, more)
			if err != nil {
				return err
			}
			for _, d := range dead {
				ids = append(ids, d.ID)
			}
		}
		n := 0
		var errs []error
		for _, id := range ids {
			if err := do(ctx, bus, id); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", id, err))
				continue
			}
			n++
		}
		if c.JSON {
			errs = append(errs, json.NewEncoder(os.Stdout).Encode(map[string]int{done: n}))
		} else {
			fmt.Printf("%d %s.\n", n, done)
		}
		return errors.Join(errs...)
	})
}

type dlqReplay struct{ selection }

// Run implements the command.
func (r *dlqReplay) Run(ctx context.Context, c *cli) error {
	return r.each(ctx, c, "replayed", func(ctx context.Context, bus shop.Bus, id string) error { return shop.Replay(ctx, bus, id) })
}

type dlqDrop struct{ selection }

// Run implements the command.
func (d *dlqDrop) Run(ctx context.Context, c *cli) error {
	return d.each(ctx, c, "dropped", func(ctx context.Context, bus shop.Bus, id string) error { return bus.Drop(ctx, id) })
}
