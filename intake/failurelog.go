package intake

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// Lines about lost documents: at first each, then one in ten seconds.
const (
	failureLines    = 5
	failureInterval = 10 * time.Second
	maxFailure      = 2 << 10
)

// failureLog writes docappender's errors as warnings, and few of them: it has
// one for every bulk request and reason.
type failureLog struct {
	log   *zap.Logger
	limit *rate.Limiter

	mu      sync.Mutex
	skipped int64
}

func newFailureLog(log *zap.Logger) *zap.Logger {
	return zap.New(&failureLog{
		log:   log.WithOptions(zap.WithCaller(false)),
		limit: rate.NewLimiter(rate.Every(failureInterval), failureLines),
	})
}

// Enabled leaves docappender's notes on its own working out.
func (f *failureLog) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }

// With returns f; docappender adds fields for tracing only.
func (f *failureLog) With([]zapcore.Field) zapcore.Core { return f }

// Check adds f to what writes the entry.
func (f *failureLog) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if f.Enabled(e.Level) {
		return ce.AddCore(e, f)
	}
	return ce
}

// Write logs the entry or counts it as left out.
func (f *failureLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	reason := e.Message
	documents := int64(0)
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok {
			reason += ": " + err.Error()
		}
		if field.Key == "documents" {
			documents = field.Integer
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.limit.Allow() {
		f.skipped++
		return nil
	}
	message := "documents were lost"
	if documents > 0 {
		message = fmt.Sprintf("%d documents were lost", documents)
	}
	if f.skipped > 0 {
		message += fmt.Sprintf(" (and more, in %d lines left out)", f.skipped)
	}
	f.log.Warn(message, zap.String("error.message", truncate(reason, maxFailure)))
	f.skipped = 0
	return nil
}

// Sync does nothing: the log beneath is synced by its owner.
func (f *failureLog) Sync() error { return nil }
