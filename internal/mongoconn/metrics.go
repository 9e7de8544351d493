package mongoconn

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/event"
	"go.mongodb.org/mongo-driver/mongo"

	"pharos/internal/obs"
)

// Pool counts the connections of a client's pool.
type Pool struct{ open, inUse, failed atomic.Int64 }

func (p *Pool) count(e *event.PoolEvent) {
	switch e.Type {
	case event.ConnectionCreated:
		p.open.Add(1)
	case event.ConnectionClosed:
		p.open.Add(-1)
	case event.GetSucceeded:
		p.inUse.Add(1)
	case event.ConnectionReturned:
		p.inUse.Add(-1)
	case event.GetFailed:
		p.failed.Add(1)
	}
}

// RegisterMetrics registers what the pool holds.
func (p *Pool) RegisterMetrics(reg prometheus.Registerer) {
	gauge := func(name, help string, v *atomic.Int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(v.Load()) })
	}
	reg.MustRegister(
		gauge("mongodb_pool_connections", "Connections of this process to MongoDB.", &p.open),
		gauge("mongodb_pool_connections_in_use", "Those that an operation holds.", &p.inUse),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mongodb_pool_failures_total",
			Help: "Operations that got no connection: the pool was empty for too long, or MongoDB away."},
			func() float64 { return float64(p.failed.Load()) }),
	)
}

// RegisterServerMetrics registers the server's own count of connections, from
// all of its clients, as its command serverStatus tells it
// (https://www.mongodb.com/docs/manual/reference/command/serverStatus/#connections).
// The account needs the right to that command.
func RegisterServerMetrics(reg prometheus.Registerer, db *mongo.Database) {
	reg.MustRegister(obs.Asked(func(ctx context.Context) ([]float64, error) {
		var status struct {
			Connections struct {
				Current   float64 `bson:"current"`
				Available float64 `bson:"available"`
				Active    float64 `bson:"active"`
			} `bson:"connections"`
		}
		err := db.RunCommand(ctx, bson.D{
			{Key: "serverStatus", Value: 1},
			// The rest takes the server longer to put together than to send.
			{Key: "repl", Value: 0}, {Key: "metrics", Value: 0}, {Key: "locks", Value: 0}, {Key: "wiredTiger", Value: 0},
		}).Decode(&status)
		if err != nil {
			return nil, fmt.Errorf("ask for MongoDB's status: %w", err)
		}
		c := status.Connections
		return []float64{c.Current, c.Available, c.Active}, nil
	},
		obs.Gauge{Name: "mongodb_connections_current", Help: "Connections to the MongoDB server, of all its clients."},
		obs.Gauge{Name: "mongodb_connections_available", Help: "Connections that the MongoDB server would still take."},
		obs.Gauge{Name: "mongodb_connections_active", Help: "Connections on which the MongoDB server is at work."},
	))
}
