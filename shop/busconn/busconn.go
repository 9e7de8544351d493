// Package busconn opens the bus that the settings name.
package busconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pharos/internal/env"
	"pharos/internal/redisconn"
	"pharos/shop"
	"pharos/shop/kafkabus"
	"pharos/shop/redisbus"
)

// Config is the settings of the bus. Those of Kafka and of Redis are read only
// where BUS names them, so that nobody has to give settings of what is not
// there.
type Config struct {
	Kind string `env:"BUS" envDefault:"redis"` // redis or kafka
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	if c.Kind != "redis" && c.Kind != "kafka" {
		return errors.New("BUS must be redis or kafka")
	}
	return nil
}

// Options are the parts of a bus.
type Options struct {
	// Consumer names this process within its consumer group.
	Consumer string
	// Report is told of failures that the bus tries to overcome by itself.
	Report func(context.Context, error)
	// Metrics gets what the bus's own connections to Redis are; nil for a
	// program that has no metrics.
	Metrics prometheus.Registerer
}

type redisSettings struct {
	Conn redisconn.Config
	Bus  redisbus.Config
}

// Validate implements env.Validator.
func (s *redisSettings) Validate() error { return s.Bus.Validate() }

// Open returns the bus without waiting for its servers. Close it.
func Open(opts Options) (shop.Bus, error) {
	var cfg Config
	if err := env.Parse(&cfg); err != nil {
		return nil, err
	}
	if cfg.Kind == "kafka" {
		var cfg kafkabus.Config
		if err := env.Parse(&cfg); err != nil {
			return nil, err
		}
		return kafkabus.New(kafkabus.Options{Config: cfg, Consumer: opts.Consumer, Report: opts.Report, Now: time.Now})
	}
	var own redisSettings
	if err := env.Parse(&own); err != nil {
		return nil, err
	}
	rdb, err := redisconn.Open(own.Conn)
	if err != nil {
		return nil, fmt.Errorf("open the bus: %w", err)
	}
	if opts.Metrics != nil {
		redisconn.RegisterMetrics(opts.Metrics, "bus", rdb)
	}
	return redisbus.New(rdb, redisbus.Options{
		Config: own.Bus, Consumer: opts.Consumer, Groups: shop.Groups(), Report: opts.Report, Now: time.Now,
	}), nil
}
