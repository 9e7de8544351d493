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

	// APIKey and APIKeys are who may send log lines and OTLP: a key named default,
	// and others as name=key,name=sha256:HEX. Without any, /logs takes none.
	APIKey  env.Secret `env:"INTAKE_API_KEY"`
	APIKeys env.Secret `env:"INTAKE_API_KEYS"`
	// LogsMaxRequestSize and LogsMaxLineSize are the longest body and line of
	// POST /logs, in bytes after decompression.
	LogsMaxRequestSize int64 `env:"LOGS_MAX_REQUEST_SIZE" envDefault:"5242880"`
	LogsMaxLineSize    int   `env:"LOGS_MAX_LINE_SIZE" envDefault:"65536"`
	// LogsRate and LogsRateBurst are the lines of a key a second, and at once:
	// also the most that a request may have.
	LogsRate      int `env:"LOGS_RATE_LIMIT" envDefault:"1000"`
	LogsRateBurst int `env:"LOGS_RATE_BURST" envDefault:"5000"`
	// LogsMaxAge is how old a line's @timestamp may be.
	LogsMaxAge time.Duration `env:"LOGS_MAX_AGE" envDefault:"72h"`
	// OTLPMaxRequestSize is the longest OTLP request, in bytes after decompression.
	OTLPMaxRequestSize int `env:"OTLP_MAX_REQUEST_SIZE" envDefault:"4194304"`
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
		{"LOGS_MAX_LINE_SIZE", int64(c.LogsMaxLineSize), 1 << 10},
		{"LOGS_MAX_REQUEST_SIZE", c.LogsMaxRequestSize, int64(c.LogsMaxLineSize)},
		{"LOGS_RATE_LIMIT", int64(c.LogsRate), 1},
		{"LOGS_RATE_BURST", int64(c.LogsRateBurst), 1},
		{"OTLP_MAX_REQUEST_SIZE", int64(c.OTLPMaxRequestSize), 1 << 10},
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
	if c.LogsRateBurst > maxBatch {
		return fmt.Errorf("LOGS_RATE_BURST must be at most %d", maxBatch)
	}
	if c.LogsMaxAge <= 0 {
		return errors.New("LOGS_MAX_AGE must be longer than 0")
	}
	_, err := parseKeys(c.APIKey.Reveal(), c.APIKeys.Reveal())
	return err
}
