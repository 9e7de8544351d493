// Package obs gives a process its three ways of being observed: an ECS logger,
// an Elastic APM tracer and a Prometheus registry, all carrying the same
// identity.
package obs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.elastic.co/apm/v2"
	"go.elastic.co/ecszap"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/natefinch/lumberjack.v2"
)

// Config is the settings of a process's telemetry.
type Config struct {
	NodeName    string        `env:"NODE_NAME"` // service.node.name; the host's name where empty
	Environment string        `env:"ENVIRONMENT" envDefault:"dev"`
	Region      string        `env:"REGION" envDefault:"local"`
	LogLevel    zapcore.Level `env:"LOG_LEVEL" envDefault:"info"`
	// LogFile gets every line that standard output gets; empty turns it off.
	// ${NAME} in it is replaced by that variable.
	LogFile      string `env:"LOG_FILE,expand"`
	LogMaxSizeMB int    `env:"LOG_MAX_SIZE_MB" envDefault:"64"` // a larger file is rotated
	LogKeep      int    `env:"LOG_KEEP" envDefault:"5"`         // rotated files that are kept
	// APMServerURL is also read by the agent itself; empty keeps traces in the
	// process: they still have ids, but are sent nowhere.
	APMServerURL string `env:"ELASTIC_APM_SERVER_URL"`
}

// Service is the identity that every log line, trace and metric carries.
type Service struct {
	Name, Version, Node, Environment, Region string
}

// Telemetry is a process's logger, tracer and metrics.
type Telemetry struct {
	Service Service
	Log     *zap.Logger
	Tracer  *apm.Tracer
	Metrics Metrics

	file io.Closer // nil without LogFile
}

// flushEvery is how long a line of level info or debug may wait to be written
// to the file, so that many are written at once: it is what a process that is
// killed can lose.
const flushEvery = 100 * time.Millisecond

// Metrics is a registry whose every metric carries the identity of the process,
// as the labels service_name, service_version, service_node_name,
// service_environment and cloud_region.
type Metrics struct {
	prometheus.Registerer
	prometheus.Gatherer
}

// New opens the telemetry of the named service. Close it last.
func New(name, version string, cfg Config) (*Telemetry, error) {
	node := cfg.NodeName
	if node == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("NODE_NAME is empty and the host has no name: %w", err)
		}
		node = host
	}
	t := &Telemetry{Service: Service{name, version, node, cfg.Environment, cfg.Region}}

	out := zapcore.Lock(os.Stdout)
	if cfg.LogFile != "" {
		file, err := openLog(cfg)
		if err != nil {
			return nil, err
		}
		buffered := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(file), FlushInterval: flushEvery}
		t.file = closer{buffered, file}
		if isNull(os.Stdout) {
			out = buffered
		} else {
			out = zapcore.NewMultiWriteSyncer(out, buffered)
		}
		if err := keepCrashes(cfg.LogFile); err != nil {
			return nil, fmt.Errorf("LOG_FILE: %w", err)
		}
	}
	t.Log = NewLogger(t.Service, out, cfg.LogLevel).WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return prompt{c} }))

	tracer, err := newTracer(t.Service, cfg.APMServerURL)
	if err != nil {
		return nil, fmt.Errorf("start APM agent: %w", err)
	}
	tracer.SetLogger(agentLogger{t.Log.Named("apm").Sugar()})
	t.Tracer = tracer
	t.Metrics = newRegistry(t.Service)
	return t, nil
}

// Discard returns telemetry that goes nowhere, for tests.
func Discard(name string) (*Telemetry, error) {
	s := Service{Name: name, Version: "test", Node: name, Environment: "test", Region: "test"}
	tracer, err := newTracer(s, "")
	if err != nil {
		return nil, err
	}
	return &Telemetry{Service: s, Log: zap.NewNop(), Tracer: tracer, Metrics: newRegistry(s)}, nil
}

// Close sends what the agent still holds, within ctx, and closes the log file.
func (t *Telemetry) Close(ctx context.Context) error {
	t.Tracer.Flush(ctx.Done())
	t.Tracer.Close()
	err := t.Log.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTTY) {
		err = nil // a pipe or a terminal can't be synced, and need not be
	}
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	return err
}

// NewLogger returns a logger that writes ECS lines about the service to out.
func NewLogger(s Service, out zapcore.WriteSyncer, level zapcore.LevelEnabler) *zap.Logger {
	core := ecszap.NewCore(ecszap.NewDefaultEncoderConfig(), out, level)
	return zap.New(core, zap.AddCaller()).With(
		zap.String("service.name", s.Name),
		zap.String("service.version", s.Version),
		zap.String("service.environment", s.Environment),
		zap.String("service.node.name", s.Node),
		zap.String("cloud.region", s.Region),
		zap.String("event.dataset", s.Name),
	)
}

// prompt has everything written at once when a line tells of trouble: what led
// to a crash must not be lost with it.
type prompt struct{ zapcore.Core }

func (p prompt) With(fields []zapcore.Field) zapcore.Core { return prompt{p.Core.With(fields)} }

func (p prompt) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return to.AddCore(e, p)
	}
	return to
}

func (p prompt) Write(e zapcore.Entry, fields []zapcore.Field) error {
	err := p.Core.Write(e, fields)
	if e.Level >= zapcore.WarnLevel {
		_ = p.Sync() // of what can't be synced, a pipe or a terminal
	}
	return err
}

// closer writes what is buffered before it closes the file.
type closer struct {
	buffered *zapcore.BufferedWriteSyncer
	file     io.Closer
}

func (c closer) Close() error { return errors.Join(c.buffered.Stop(), c.file.Close()) }

// isNull tells that what is written there is thrown away.
func isNull(f *os.File) bool {
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(info, null)
}

func openLog(cfg Config) (io.WriteCloser, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.LogFile), 0o755); err != nil {
		return nil, fmt.Errorf("LOG_FILE: %w", err)
	}
	// lumberjack opens at the first write and would hide an unwritable path
	// until then; it also makes files that only their owner can read, but the
	// shipper may be another user.
	f, err := os.OpenFile(cfg.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("LOG_FILE: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("LOG_FILE: %w", err)
	}
	return &lumberjack.Logger{Filename: cfg.LogFile, MaxSize: cfg.LogMaxSizeMB, MaxBackups: cfg.LogKeep}, nil
}

// newTracer starts an agent. The agent takes its other settings from the
// ELASTIC_APM_* variables; those set here have no other way in, and what the
// environment says of them wins.
func newTracer(s Service, serverURL string) (*apm.Tracer, error) {
	defaults := map[string]string{
		// Asking the cloud's metadata address would only delay the first trace.
		"ELASTIC_APM_CLOUD_PROVIDER": "none",
		// The agent can't be told cloud.region; the ingest pipeline for traces
		// makes it from this label.
		"ELASTIC_APM_GLOBAL_LABELS": "region=" + s.Region,
		// By default the agent drops spans of calls below a millisecond, which
		// are most of Redis's: a request's time would have a hole there.
		"ELASTIC_APM_EXIT_SPAN_MIN_DURATION": "0ms",
		// The agent's default, and the cookie by which a browser owns its jobs.
		"ELASTIC_APM_SANITIZE_FIELD_NAMES": "password,passwd,pwd,secret,*key,*token*,*session*,*credit*,*card*,*auth*,*principal*,set-cookie,pharos_browser",
		// service.node.name of every event.
		"ELASTIC_APM_SERVICE_NODE_NAME": s.Node,
	}
	for name, value := range defaults {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	opts := apm.TracerOptions{ServiceName: s.Name, ServiceVersion: s.Version, ServiceEnvironment: s.Environment}
	if serverURL == "" {
		opts.Transport = nowhere{}
	}
	tracer, err := apm.NewTracerOptions(opts)
	if err != nil {
		return nil, err
	}
	// The agent's modules make a default tracer of their own otherwise, which
	// sends metrics a second time and without an identity.
	apm.SetDefaultTracer(tracer)
	return tracer, nil
}

func newRegistry(s Service) Metrics {
	r := prometheus.NewRegistry()
	m := Metrics{Gatherer: r, Registerer: prometheus.WrapRegistererWith(prometheus.Labels{
		"service_name": s.Name, "service_version": s.Version, "service_node_name": s.Node,
		"service_environment": s.Environment, "cloud_region": s.Region,
	}, r)}
	m.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// nowhere is a transport for a process without an APM server.
type nowhere struct{}

func (nowhere) SendStream(_ context.Context, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// agentLogger lets the agent's own messages go the way of all others.
type agentLogger struct{ log *zap.SugaredLogger }

func (l agentLogger) Debugf(format string, args ...any)   { l.log.Debugf(format, args...) }
func (l agentLogger) Errorf(format string, args ...any)   { l.log.Errorf(format, args...) }
func (l agentLogger) Warningf(format string, args ...any) { l.log.Warnf(format, args...) }
