package shop

import (
	"context"
	"errors"
	"time"
)

// The consumer groups. Each gets every message, at its own pace.
const (
	GroupIngest    = "ingest"
	GroupAnalytics = "analytics"
)

// Groups returns every consumer group.
func Groups() []string { return []string{GroupIngest, GroupAnalytics} }

// Message is what the bus carries.
type Message struct {
	// Key orders: where a bus has partitions, messages of one key stay in order.
	Key   string
	Value []byte // the event's JSON
	// TraceParent is the W3C trace context of who published it; "" for none.
	TraceParent string
	PublishedAt time.Time // Publish sets it where it is zero
}

// DeadLetter is a message that a group gave up.
type DeadLetter struct {
	ID       string // given by the bus
	Group    string
	Reason   string
	Tries    int
	FailedAt time.Time
	TraceID  string
	Message  Message
}

// Backlog is how far a group is behind.
type Backlog struct {
	// Lag is how many messages the group has not acknowledged.
	Lag int64
	// Pending is how many of these a consumer has in hand; NaN where the bus
	// does not know (Kafka).
	Pending float64
	// Waiting is for how many seconds the oldest message has waited that the group
	// has not acknowledged; 0 if none does, NaN where it would have to be read for
	// that (Kafka).
	Waiting float64
	// DeadLetters is how many dead letters of all groups are kept; NaN where
	// they would have to be read for that (Kafka).
	DeadLetters float64
	// Lost is how many were removed before the group acknowledged them, because
	// they exceeded the retention.
	Lost int64
	// Oldest is when the oldest message that is still kept was published; zero
	// for an empty bus.
	Oldest time.Time
}

// The errors of a bus that callers tell apart.
var (
	// ErrFull means that consumers are so far behind that no more is taken.
	ErrFull = errors.New("the bus is full")
	// ErrNoDeadLetter means that there is no dead letter of that id.
	ErrNoDeadLetter = errors.New("no such dead letter")
)

// Handler does the effect of a batch, in order. What it returns as dead is put
// into the dead-letter stream; then the whole batch is acknowledged. An error
// means that the batch was not done: nothing is acknowledged, and Consume ends
// with that error.
//
// A message can come again after it was handled (a crash before the
// acknowledgement), so that the effect must be one that may be done twice.
type Handler func(ctx context.Context, batch []Message) (dead []DeadLetter, err error)

// Publisher puts messages on the bus.
type Publisher interface {
	// Publish returns nil when all messages are durable on the bus. After an
	// error some of them may be.
	Publish(ctx context.Context, messages []Message) error
}

// DeadLetters is the stream of what consumers gave up.
type DeadLetters interface {
	// DeadLetters returns up to limit dead letters, oldest first.
	DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error)
	// DeadLetter returns one, or ErrNoDeadLetter.
	DeadLetter(ctx context.Context, id string) (DeadLetter, error)
	// Drop removes one, or returns ErrNoDeadLetter.
	Drop(ctx context.Context, id string) error
}

// Bus carries messages from publishers to groups of consumers. Its methods may
// be called from any goroutine.
type Bus interface {
	Publisher
	DeadLetters
	// Consume hands the group's messages to handle until ctx ends, and then
	// returns nil: a batch in progress is finished and acknowledged first, and
	// the group is left. Messages of a consumer that died go to the others.
	Consume(ctx context.Context, group string, handle Handler) error
	// Backlog measures a group.
	Backlog(ctx context.Context, group string) (Backlog, error)
	// Retention is how long messages are kept at most.
	Retention() time.Duration
	// Ping reports whether the bus answers.
	Ping(ctx context.Context) error
	// Close ends the connections. Consumers are stopped before.
	Close() error
}

// Replay publishes a dead letter again, to every group: those that have done
// its effect already take no harm. It is dropped only after that.
func Replay(ctx context.Context, bus interface {
	Publisher
	DeadLetters
}, id string) error {
	dead, err := bus.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	dead.Message.PublishedAt = time.Time{} // its latency is measured from now
	if err := bus.Publish(ctx, []Message{dead.Message}); err != nil {
		return err
	}
	if err := bus.Drop(ctx, id); err != nil && !errors.Is(err, ErrNoDeadLetter) {
		return err
	}
	return nil
}

// Dedupe remembers which events were published lately.
//
// An event is remembered only after it is on the bus: one that was remembered
// before and never got there would be refused for good. So two requests with
// the same event at the same moment may both be accepted; its effect is once
// all the same, as consumers may do it twice.
type Dedupe interface {
	// Seen tells for each key whether it is remembered.
	Seen(ctx context.Context, keys []string) ([]bool, error)
	// Remember remembers keys.
	Remember(ctx context.Context, keys []string) error
}

// GiveUp returns the dead letter of a message that a group gives up.
func GiveUp(group string, m Message, reason error, tries int, now time.Time) DeadLetter {
	return DeadLetter{
		Group: group, Reason: reason.Error(), Tries: tries, FailedAt: now.UTC(), TraceID: traceID(m.TraceParent), Message: m,
	}
}
