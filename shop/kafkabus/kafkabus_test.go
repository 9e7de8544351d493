package kafkabus_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/internal/env"
	"pharos/shop"
	"pharos/shop/bustest"
	"pharos/shop/kafkabus"
)

func TestBus(t *testing.T) {
	settings := bustest.Kafka(t)
	bustest.Run(t, func(t *testing.T) bustest.Open {
		topic := "test." + uuid.NewString()
		return func(t *testing.T, consumer string) shop.Bus {
			var cfg kafkabus.Config
			if err := env.ParseMap(&cfg, settings); err != nil {
				t.Fatal(err)
			}
			cfg.Topic, cfg.Partitions = topic, 3
			bus, err := kafkabus.New(kafkabus.Options{
				Config: cfg, Consumer: consumer, Now: time.Now,
				Report: func(_ context.Context, err error) { t.Log(err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = bus.Close() })
			return bus
		}
	})
}

func TestSettings(t *testing.T) {
	for name, vars := range map[string]map[string]string{
		"no brokers":        {},
		"unknown mechanism": {"KAFKA_BROKERS": "a:1", "KAFKA_SASL_MECHANISM": "GSSAPI"},
	} {
		var cfg kafkabus.Config
		if err := env.ParseMap(&cfg, vars); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
