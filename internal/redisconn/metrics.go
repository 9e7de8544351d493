package redisconn

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// RegisterMetrics registers what the client's pool holds, under the label pool:
// a process may have several clients.
func RegisterMetrics(reg prometheus.Registerer, pool string, client *redis.Client) {
	labels := prometheus.Labels{"pool": pool}
	gauge := func(name, help string, value func(*redis.PoolStats) uint32) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(client.PoolStats())) })
	}
	reg.MustRegister(
		gauge("redis_pool_connections", "Connections of this pool to Redis.",
			func(s *redis.PoolStats) uint32 { return s.TotalConns }),
		gauge("redis_pool_connections_in_use", "Those that a command holds.",
			func(s *redis.PoolStats) uint32 { return s.TotalConns - min(s.IdleConns, s.TotalConns) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "redis_pool_timeouts_total", ConstLabels: labels,
			Help: "Commands that waited too long for a connection."},
			func() float64 { return float64(client.PoolStats().Timeouts) }),
	)
}
