// Package kafkabus is the shop's bus on Apache Kafka: one topic for events, a
// consumer group for each consumer, one compacted topic for dead letters.
package kafkabus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"pharos/internal/env"
	"pharos/shop"
)

// Config is the settings of the bus.
type Config struct {
	Brokers []string `env:"KAFKA_BROKERS,required,notEmpty"` // host:port of some of them
	// User and Password sign in by SASL; an empty user does not sign in.
	User      string     `env:"KAFKA_USER"`
	Password  env.Secret `env:"KAFKA_PASSWORD"`
	Mechanism string     `env:"KAFKA_SASL_MECHANISM" envDefault:"PLAIN"` // or SCRAM-SHA-512
	TLS       bool       `env:"KAFKA_TLS" envDefault:"false"`
	// Topic is the name of the topic; the dead letters' is Topic + ".dead".
	Topic string `env:"KAFKA_TOPIC" envDefault:"shop.events"`
	// Partitions is how many consumers of a group can work at once. It and
	// Replication are used when the topic is made.
	Partitions  int32 `env:"KAFKA_PARTITIONS" envDefault:"6"`
	Replication int16 `env:"KAFKA_REPLICATION" envDefault:"1"`
	// Retention is how long messages are kept. What a group has not acknowledged
	// by then is removed, and counted as lost.
	Retention time.Duration `env:"BUS_HARD_RETENTION" envDefault:"168h"`
	// Batch is how many messages a consumer takes at once.
	Batch int `env:"BUS_BATCH" envDefault:"500"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	switch {
	case c.Mechanism != "PLAIN" && c.Mechanism != "SCRAM-SHA-512":
		return errors.New("KAFKA_SASL_MECHANISM must be PLAIN or SCRAM-SHA-512")
	case c.Partitions < 1 || c.Replication < 1:
		return errors.New("KAFKA_PARTITIONS and KAFKA_REPLICATION must be at least 1")
	case c.Retention < time.Hour:
		return errors.New("BUS_HARD_RETENTION must be at least 1h")
	case c.Batch < 1:
		return errors.New("BUS_BATCH must be at least 1")
	}
	return nil
}

// Options are the parts of a Bus.
type Options struct {
	Config
	// Consumer names this process to the brokers.
	Consumer string
	// Report is told of failures that the bus tries to overcome by itself.
	Report func(context.Context, error)
	Now    func() time.Time
}

// Bus implements shop.Bus.
type Bus struct {
	opts   Options
	dead   string // topic of dead letters
	client *kgo.Client
	admin  *kadm.Client

	mu   sync.Mutex
	made bool             // the topics are there
	lost map[string]int64 // group → messages, since the start of this process
}

const deliveryTimeout = 10 * time.Second

// New returns a Bus. It does not wait for Kafka. Close it.
func New(opts Options) (*Bus, error) {
	b := &Bus{opts: opts, dead: opts.Topic + ".dead", lost: map[string]int64{}}
	// All in-sync replicas acknowledge, and repeats are recognized: franz-go's
	// defaults.
	client, err := kgo.NewClient(append(b.connection(), kgo.RecordDeliveryTimeout(deliveryTimeout))...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	b.client, b.admin = client, kadm.NewClient(client)
	return b, nil
}

func (b *Bus) connection() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(b.opts.Brokers...), kgo.ClientID(b.opts.Consumer), kgo.DialTimeout(2 * time.Second)}
	if b.opts.TLS {
		opts = append(opts, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if b.opts.User != "" {
		password := b.opts.Password.Reveal()
		if b.opts.Mechanism == "PLAIN" {
			opts = append(opts, kgo.SASL(plain.Auth{User: b.opts.User, Pass: password}.AsMechanism()))
		} else {
			opts = append(opts, kgo.SASL(scram.Auth{User: b.opts.User, Pass: password}.AsSha512Mechanism()))
		}
	}
	return opts
}

// Close implements shop.Bus.
func (b *Bus) Close() error {
	b.client.Close()
	return nil
}

// Retention implements shop.Bus.
func (b *Bus) Retention() time.Duration { return b.opts.Retention }

// Ping implements shop.Bus.
func (b *Bus) Ping(ctx context.Context) error { return b.client.Ping(ctx) }

// ensure makes the topics where they are not there yet.
func (b *Bus) ensure(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.made {
		return nil
	}
	text := func(s string) *string { return &s }
	for _, t := range []struct {
		name       string
		partitions int32
		config     map[string]*string
	}{
		{b.opts.Topic, b.opts.Partitions, map[string]*string{"retention.ms": text(strconv.FormatInt(b.opts.Retention.Milliseconds(), 10))}},
		// Compacted: the last message of an id is kept, and one without a value
		// removes it.
		{b.dead, 1, map[string]*string{"cleanup.policy": text("compact")}},
	} {
		_, err := b.admin.CreateTopic(ctx, t.partitions, b.opts.Replication, t.config, t.name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", t.name, err)
		}
	}
	// A new topic has no leader for a moment.
	for {
		ends, err := b.admin.ListEndOffsets(ctx, b.opts.Topic, b.dead)
		if err == nil {
			err = ends.Error()
		}
		if err == nil {
			b.made = true
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for topics: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The headers of a record.
const (
	headerTrace     = "traceparent"
	headerPublished = "published" // Unix time in milliseconds
)

func (b *Bus) encode(m shop.Message) *kgo.Record {
	if m.PublishedAt.IsZero() {
		m.PublishedAt = b.opts.Now()
	}
	return &kgo.Record{Topic: b.opts.Topic, Key: []byte(m.Key), Value: m.Value, Headers: []kgo.RecordHeader{
		{Key: headerTrace, Value: []byte(m.TraceParent)},
		{Key: headerPublished, Value: strconv.AppendInt(nil, m.PublishedAt.UnixMilli(), 10)},
	}}
}

func decode(r *kgo.Record) shop.Message {
	m := shop.Message{Key: string(r.Key), Value: r.Value, PublishedAt: r.Timestamp.UTC()}
	for _, h := range r.Headers {
		switch h.Key {
		case headerTrace:
			m.TraceParent = string(h.Value)
		case headerPublished:
			if ms, err := strconv.ParseInt(string(h.Value), 10, 64); err == nil {
				m.PublishedAt = time.UnixMilli(ms).UTC()
			}
		}
	}
	return m
}

// Publish implements shop.Publisher. Messages of one key go to one partition.
func (b *Bus) Publish(ctx context.Context, messages []shop.Message) error {
	if err := b.ensure(ctx); err != nil {
		return err
	}
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = b.encode(m)
	}
	if err := b.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("publish to %s: %w", b.opts.Topic, err)
	}
	return nil
}

// groupName is a consumer group's name at the brokers, which may serve others, too.
func (b *Bus) groupName(name string) string { return b.opts.Topic + "." + name }

// Backlog implements shop.Bus. Lost counts since this process began to consume.
func (b *Bus) Backlog(ctx context.Context, group string) (shop.Backlog, error) {
	if err := b.ensure(ctx); err != nil {
		return shop.Backlog{}, err
	}
	starts, err := b.admin.ListStartOffsets(ctx, b.opts.Topic)
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("read offsets: %w", err)
	}
	ends, err := b.admin.ListEndOffsets(ctx, b.opts.Topic)
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("read offsets: %w", err)
	}
	done, err := b.committed(ctx, group)
	if err != nil {
		return shop.Backlog{}, err
	}
	out := shop.Backlog{Pending: math.NaN(), DeadLetters: math.NaN(), Waiting: math.NaN()}
	ends.Each(func(end kadm.ListedOffset) {
		first := done[end.Partition]
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
			first = max(first, start.Offset)
		}
		out.Lag += max(0, end.Offset-first)
	})
	if err := ends.Error(); err != nil {
		return shop.Backlog{}, fmt.Errorf("read offsets: %w", err)
	}
	// The first record of each partition, with its time.
	firsts, err := b.admin.ListOffsetsAfterMilli(ctx, 0, b.opts.Topic)
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("read offsets: %w", err)
	}
	firsts.Each(func(first kadm.ListedOffset) {
		at := time.UnixMilli(first.Timestamp).UTC()
		if first.Timestamp > 0 && (out.Oldest.IsZero() || at.Before(out.Oldest)) {
			out.Oldest = at
		}
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	out.Lost = b.lost[group]
	return out, nil
}

// committed returns the offset from which the group goes on, for each partition
// that it has acknowledged something of.
func (b *Bus) committed(ctx context.Context, group string) (map[int32]int64, error) {
	offsets, err := b.admin.FetchOffsets(ctx, b.groupName(group))
	if err != nil {
		return nil, fmt.Errorf("read offsets of %s: %w", group, err)
	}
	out := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil && o.Topic == b.opts.Topic && o.At >= 0 {
			out[o.Partition] = o.At
		}
	})
	return out, nil
}
