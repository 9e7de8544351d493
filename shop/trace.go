package shop

import (
	"context"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
)

// TraceParent returns the W3C trace context of what ctx belongs to, "" where it
// is not traced.
func TraceParent(ctx context.Context) string {
	if span := apm.SpanFromContext(ctx); span != nil {
		return apmhttp.FormatTraceparentHeader(span.TraceContext())
	}
	if tx := apm.TransactionFromContext(ctx); tx != nil {
		return apmhttp.FormatTraceparentHeader(tx.TraceContext())
	}
	return ""
}

// traceID returns the trace's id in a trace context, "" for none.
func traceID(parent string) string {
	tc, ok := traceContext(parent)
	if !ok {
		return ""
	}
	return tc.Trace.String()
}

func traceContext(parent string) (apm.TraceContext, bool) {
	if parent == "" {
		return apm.TraceContext{}, false
	}
	tc, err := apmhttp.ParseTraceparentHeader(parent)
	return tc, err == nil
}

// resume starts a transaction that goes on with the message's trace, or with a
// new one where the message has none.
func resume(tracer *apm.Tracer, name string, m Message) *apm.Transaction {
	var opts apm.TransactionOptions
	if tc, ok := traceContext(m.TraceParent); ok {
		opts.TraceContext = tc
	}
	return tracer.StartTransactionOptions(name, "messaging", opts)
}
