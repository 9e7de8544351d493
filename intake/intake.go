// Package intake takes signals from outside and writes them into Elasticsearch:
//
//   - what Elastic APM agents send, into the APM data streams. To an agent it is an
//     APM Server 8.19: the events intake API (POST /intake/v2/events), central
//     configuration (/config/v1/agents) and server information (/);
//   - OpenTelemetry's traces, metrics and logs (OTLP over HTTP and gRPC), into the
//     same streams;
//   - log lines of other programs (POST /logs: ECS as NDJSON), into
//     logs-external-default.
//
// The events are decoded by Elastic's apm-data and sent by Elastic's
// go-docappender, both as APM Server uses them, so that the documents are the
// same. What the document's ingest pipeline adds is described in elastic/.
//
// # When Elasticsearch is away
//
// A bulk request that could not be delivered is kept and sent again until it
// is, so the documents behind it wait in the queue. When the queue is full,
// streams are answered 503 "queue is full" and agents back off. Documents are
// lost only when Elasticsearch refuses them, or at the end of a stop; both are
// counted and logged. Since a request that broke off may have been carried
// out, a document can arrive twice; it is never dropped for that.
package intake

import (
	"context"
	"fmt"
	"net/http"

	"github.com/elastic/apm-data/input/elasticapm"
	"github.com/elastic/apm-data/input/otlp"
	"github.com/elastic/apm-data/model/modelpb"
	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"pharos/internal/obs"
)

// Transport performs requests to Elasticsearch: it adds the address and the
// credentials. *elasticsearch.Client is one.
type Transport interface {
	Perform(*http.Request) (*http.Response, error)
}

// Intake is the handlers of the APM API and the queue behind them.
type Intake struct {
	cfg       Config
	service   obs.Service
	token     tokenDigest
	keys      keys
	rates     *rates
	version   string
	streams   patientSemaphore
	processor *elasticapm.Processor
	otlp      *otlp.Consumer
	batch     modelpb.BatchProcessor
	queue     *queue
	log       *zap.Logger
	metrics   *metrics

	stopping  context.Context
	interrupt context.CancelFunc
}

// New returns an intake that writes through es, and registers its counts with
// tel. Close it after the server that serves it has stopped.
func New(tel *obs.Telemetry, es Transport, cfg Config) (*Intake, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	m := newMetrics(tel.Metrics)
	q, err := newQueue(tel.Log, es, cfg, m.dropped)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	tel.Metrics.MustRegister(queueCollector{q})
	allowed, err := parseKeys(cfg.APIKey.Reveal(), cfg.APIKeys.Reveal())
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	streams := patientSemaphore{semaphore.NewWeighted(cfg.MaxStreams), cfg.QueueWait}
	in := &Intake{
		cfg:     cfg,
		service: tel.Service,
		token:   digest(cfg.SecretToken.Reveal()),
		keys:    allowed,
		rates:   &rates{perSecond: cfg.LogsRate, burst: cfg.LogsRateBurst, senders: map[string]*rate.Limiter{}},
		version: tel.Service.Version,
		streams: streams,
		processor: elasticapm.NewProcessor(elasticapm.Config{
			Semaphore:    streams,
			MaxEventSize: cfg.MaxEventSize,
		}),
		batch:   newBatch(tel.Service, m, q),
		queue:   q,
		log:     tel.Log,
		metrics: m,
	}
	in.otlp = otlp.NewConsumer(otlp.ConsumerConfig{
		Logger: tel.Log, Semaphore: streams, RemapOTelMetrics: true, Processor: modelpb.ProcessBatchFunc(in.otlpBatch),
	})
	in.stopping, in.interrupt = context.WithCancel(context.Background())
	return in, nil
}

// Routes adds the APM API, OTLP over HTTP and POST /logs to r.
func (in *Intake) Routes(r gin.IRouter) {
	r.GET("/", in.serverInfo)
	r.HEAD("/", in.serverInfo)
	guarded := r.Group("", in.requireToken)
	guarded.POST("/intake/v2/events", in.events)
	guarded.GET("/config/v1/agents", in.agentConfig)
	guarded.POST("/config/v1/agents", in.agentConfig)
	r.POST("/logs", in.logs)
	r.POST("/v1/traces", in.otlpHTTP(in.httpTraces))
	r.POST("/v1/metrics", in.otlpHTTP(in.httpMetrics))
	r.POST("/v1/logs", in.otlpHTTP(in.httpLogs))
}

// Interrupt ends the streams that are being read: what has been read is
// queued, and the agents are told to come back. Without it a stop would wait
// until the agents end their requests.
func (in *Intake) Interrupt() { in.interrupt() }

// Ready returns nil when documents can be delivered: Elasticsearch answers,
// knows our account, and takes bulk requests. An intake that is not ready
// still accepts events while its queue has room, so it need not be restarted.
func (in *Intake) Ready(ctx context.Context) error { return in.queue.delivery.ready(ctx) }

// Close delivers the documents in the queue, until ctx ends. It returns an
// error that tells how many were lost.
func (in *Intake) Close(ctx context.Context) error {
	in.interrupt()
	return in.queue.close(ctx)
}
