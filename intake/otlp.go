package intake

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"

	"github.com/elastic/apm-data/model/modelpb"
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

var (
	errTooManyEvents = errors.New("the request has too many spans, measurements or lines: send fewer at once")
	errMalformed     = errors.New("the body is no OTLP request")
)

// otlpBatch is what is done to the events of an OTLP request. Where they go is not
// a sender's to choose: apm-data takes the attributes data_stream.* as their word.
func (in *Intake) otlpBatch(ctx context.Context, b *modelpb.Batch) error {
	if len(*b) > in.queue.most() {
		return errTooManyEvents
	}
	kinds := map[string]int{}
	for _, e := range *b {
		e.DataStream = nil
		redactLabels(e)
		kinds[kindOf(e)]++
	}
	if err := in.batch.ProcessBatch(ctx, b); err != nil {
		return err
	}
	for kind, n := range kinds {
		in.metrics.accepted.WithLabelValues(kind).Add(float64(n))
	}
	return nil
}

func kindOf(e *modelpb.APMEvent) string {
	switch e.Type() {
	case modelpb.TransactionEventType:
		return "transaction"
	case modelpb.SpanEventType:
		return "span"
	case modelpb.ErrorEventType:
		return "error"
	case modelpb.MetricEventType:
		return "metric"
	}
	return "log"
}

// exportTraces, exportMetrics and exportLogs queue a request whole or not at all.
func (in *Intake) exportTraces(ctx context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	res := ptraceotlp.NewExportResponse()
	result, err := in.otlp.ConsumeTracesWithResult(ctx, r.Traces())
	if err == nil && result.RejectedSpans > 0 {
		res.PartialSuccess().SetRejectedSpans(result.RejectedSpans)
		res.PartialSuccess().SetErrorMessage(result.ErrorMessage)
	}
	return res, err
}

func (in *Intake) exportMetrics(ctx context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	res := pmetricotlp.NewExportResponse()
	result, err := in.otlp.ConsumeMetricsWithResult(ctx, r.Metrics())
	if err == nil && result.RejectedDataPoints > 0 {
		res.PartialSuccess().SetRejectedDataPoints(result.RejectedDataPoints)
		res.PartialSuccess().SetErrorMessage(result.ErrorMessage)
	}
	return res, err
}

func (in *Intake) exportLogs(ctx context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	res := plogotlp.NewExportResponse()
	result, err := in.otlp.ConsumeLogsWithResult(ctx, r.Logs())
	if err == nil && result.RejectedLogRecords > 0 {
		res.PartialSuccess().SetRejectedLogRecords(result.RejectedLogRecords)
		res.PartialSuccess().SetErrorMessage(result.ErrorMessage)
	}
	return res, err
}

// otlpRequest and otlpResponse are what pdata's types for the three signals have
// in common.
type otlpRequest interface {
	UnmarshalProto([]byte) error
	UnmarshalJSON([]byte) error
}

type otlpResponse interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

func (in *Intake) httpTraces(ctx context.Context, decode func(otlpRequest) error) (otlpResponse, error) {
	r := ptraceotlp.NewExportRequest()
	if err := decode(r); err != nil {
		return nil, err
	}
	return in.exportTraces(ctx, r)
}

func (in *Intake) httpMetrics(ctx context.Context, decode func(otlpRequest) error) (otlpResponse, error) {
	r := pmetricotlp.NewExportRequest()
	if err := decode(r); err != nil {
		return nil, err
	}
	return in.exportMetrics(ctx, r)
}

func (in *Intake) httpLogs(ctx context.Context, decode func(otlpRequest) error) (otlpResponse, error) {
	r := plogotlp.NewExportRequest()
	if err := decode(r); err != nil {
		return nil, err
	}
	return in.exportLogs(ctx, r)
}

const (
	otlpProto = "application/x-protobuf"
	otlpJSON  = "application/json"
)

// otlpHTTP serves OTLP over HTTP, in both encodings.
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
func (in *Intake) otlpHTTP(export func(context.Context, func(otlpRequest) error) (otlpResponse, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		encoding, res, err := in.otlpAnswer(c, export)
		var body []byte
		if err == nil {
			if body, err = encode(res, encoding); err == nil {
				c.Data(http.StatusOK, encoding, body)
				return
			}
		}
		httpserver.LogFault(c, err)
		closeAfter(c)
		answer := otlpStatus(err)
		if answer.Code() == codes.Unavailable {
			c.Header("Retry-After", strconv.Itoa(int(comeBack.Seconds())))
		}
		if encoding == otlpJSON {
			body, err = protojson.Marshal(answer.Proto())
		} else {
			encoding = otlpProto
			body, err = proto.Marshal(answer.Proto())
		}
		if err != nil { // a code and a sentence always marshal
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(httpStatus(answer.Code()), encoding, body)
	}
}

func (in *Intake) otlpAnswer(c *gin.Context, export func(context.Context, func(otlpRequest) error) (otlpResponse, error)) (string, otlpResponse, error) {
	encoding, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || encoding != otlpProto && encoding != otlpJSON {
		return otlpJSON, nil, fault.New(fault.UnsupportedMedia, "The body must be %s or %s.", otlpProto, otlpJSON)
	}
	if err := in.mayExport(c.GetHeader("Authorization")); err != nil {
		return encoding, nil, err
	}
	res, err := export(c.Request.Context(), func(r otlpRequest) error {
		body, err := in.readWhole(c, int64(in.cfg.OTLPMaxRequestSize))
		if err != nil {
			return err
		}
		read := r.UnmarshalProto
		if encoding == otlpJSON {
			read = r.UnmarshalJSON
		}
		if err := read(body); err != nil {
			return errors.Join(errMalformed, err)
		}
		return nil
	})
	return encoding, res, err
}

func encode(res otlpResponse, encoding string) ([]byte, error) {
	if encoding == otlpJSON {
		return res.MarshalJSON()
	}
	return res.MarshalProto()
}

// otlpStatus is what a client sees of an error. Unavailable asks it to send the
// same again.
func otlpStatus(err error) *status.Status {
	var f *fault.Error
	switch {
	case errors.Is(err, errQueueFull), errors.Is(err, errBusy), errors.Is(err, errStopping):
		return status.New(codes.Unavailable, "there is no room now: send it again")
	case errors.Is(err, errTooManyEvents):
		return status.New(codes.InvalidArgument, errTooManyEvents.Error())
	case errors.Is(err, errMalformed):
		return status.New(codes.InvalidArgument, errMalformed.Error())
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the request was given up")
	case !errors.As(err, &f):
		return status.New(codes.Internal, "something failed on our side")
	}
	switch f.Status() {
	case http.StatusUnauthorized:
		return status.New(codes.Unauthenticated, f.Detail)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusGatewayTimeout:
		return status.New(codes.Unavailable, f.Detail)
	}
	return status.New(codes.InvalidArgument, f.Detail)
}

func httpStatus(code codes.Code) int {
	switch code {
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.InvalidArgument, codes.Canceled:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
