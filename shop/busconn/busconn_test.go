package busconn_test

import (
	"context"
	"strings"
	"testing"

	"pharos/shop/busconn"
)

func TestSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		vars map[string]string
		want string // part of the error, "" for none
	}{
		"redis":          {map[string]string{"REDIS_ADDR": "127.0.0.1:1", "REDIS_PASSWORD": "x"}, ""},
		"kafka":          {map[string]string{"BUS": "kafka", "KAFKA_BROKERS": "127.0.0.1:1"}, ""},
		"another":        {map[string]string{"BUS": "nats"}, "BUS must be"},
		"no redis":       {map[string]string{"REDIS_ADDR": ""}, "REDIS_ADDR"},
		"no brokers":     {map[string]string{"BUS": "kafka"}, "KAFKA_BROKERS"},
		"no batch":       {map[string]string{"REDIS_ADDR": "127.0.0.1:1", "REDIS_PASSWORD": "x", "BUS_BATCH": "0"}, "BUS_BATCH"},
		"retention":      {map[string]string{"REDIS_ADDR": "127.0.0.1:1", "REDIS_PASSWORD": "x", "BUS_RETENTION": "200h"}, "BUS_RETENTION"},
		"no replication": {map[string]string{"BUS": "kafka", "KAFKA_BROKERS": "127.0.0.1:1", "KAFKA_REPLICATION": "0"}, "KAFKA_REPLICATION"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, clear := range []string{"BUS", "REDIS_ADDR", "REDIS_PASSWORD", "KAFKA_BROKERS"} {
				t.Setenv(clear, "")
			}
			t.Setenv("BUS", "redis")
			for name, value := range tt.vars {
				t.Setenv(name, value)
			}
			bus, err := busconn.Open(busconn.Options{Consumer: "test", Report: func(context.Context, error) {}})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v does not name %s", err, tt.want)
			}
			if bus != nil {
				_ = bus.Close()
			}
		})
	}
}
