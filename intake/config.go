package intake

import (
	"errors"
	"fmt"
	"time"

	"pharos/internal/env"
)

// Config is the settings of an intake. Its memory is bounded by MaxStreams
// (each holds one line of at most MaxEventSize and the events made of up to
// ten), QueueBytes, and BulkRequests × FlushBytes a few times over.
type Config struct {
	// SecretToken is what agents send as "Authorization: Bearer …".
	SecretToken env.Secret `env:"APM_SECRET_TOKEN,required,notEmpty"`
	// MaxEventSize is the longest line of a stream, in bytes.
	MaxEventSize int `env:"MAX_EVENT_SIZE" envDefault:"307200"`
	// MaxRequestSize is the longest stream, in bytes after decompression.
	MaxRequestSize int64 `env:"INTAKE_MAX_REQUEST_SIZE" envDefault:"67108864"`
	// MaxStreams is how many streams are read at once. An agent keeps one open
	// for up to its api_request_time (10 s) while it has something to send.
	MaxStreams int64 `env:"INTAKE_MAX_STREAMS" envDefault:"64"`
	// QueueBytes is the size of the documents that wait to be put into a bulk
	// request.
	QueueBytes int64 `env:"INTAKE_QUEUE_BYTES" envDefault:"16777216"`
	// QueueWait is how long a stream waits for room, in the queue or among the
	// streams, before its agent is told to back off.
	QueueWait time.Duration `env:"INTAKE_QUEUE_WAIT" envDefault:"1s"`
	// FlushBytes and FlushInterval say when a bulk request is full.
	FlushBytes    int           `env:"INTAKE_FLUSH_BYTES" envDefault:"524288"`
	FlushInterval time.Duration `env:"INTAKE_FLUSH_INTERVAL" envDefault:"1s"`
	// BulkRequests is how many bulk requests are on their way at once.
	BulkRequests int `env:"INTAKE_BULK_REQUESTS" envDefault:"4"`
}

// Validate returns an error that names the first setting out of its range.
func (c *Config) Validate() error {
	for _, s := range []struct {
		name     string
		got, min int64
	}{
		{"MAX_EVENT_SIZE", int64(c.MaxEventSize), 1 << 10},
		{"INTAKE_MAX_REQUEST_SIZE", c.MaxRequestSize, int64(c.MaxEventSize)},
		{"INTAKE_MAX_STREAMS", c.MaxStreams, 1},
		{"INTAKE_QUEUE_BYTES", c.QueueBytes, 64 << 10},
		{"INTAKE_FLUSH_BYTES", int64(c.FlushBytes), 1 << 10},
		{"INTAKE_BULK_REQUESTS", int64(c.BulkRequests), 1},
	} {
		if s.got < s.min {
			return fmt.Errorf("%s must be at least %d", s.name, s.min)
		}
	}
	if c.QueueWait <= 0 {
		return errors.New("INTAKE_QUEUE_WAIT must be longer than 0")
	}
	if c.FlushInterval <= 0 {
		return errors.New("INTAKE_FLUSH_INTERVAL must be longer than 0")
	}
	return nil
}
