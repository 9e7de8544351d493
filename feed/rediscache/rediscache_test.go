package rediscache_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pharos/feed/rediscache"
	"pharos/feed/storetest"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

// testDB is a database that no process of the stack uses: theirs would empty
// the overflow.
const testDB = 9

func open(t *testing.T) *rediscache.Cache {
	cfg := teststack.Config[redisconn.Config](t)
	cfg.DB = testDB
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	redisconn.Guard(rdb, cfg, resilience.NewMetrics(prometheus.NewRegistry()), zap.NewNop())
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return rediscache.New(rdb, rediscache.Config{
		TimelineTTL: time.Minute, SessionFreshFor: 10 * time.Second, SessionTTL: time.Minute,
	}, time.Now)
}

func TestTimelineCache(t *testing.T) { storetest.TimelineCache(t, open(t)) }
func TestSessionCache(t *testing.T)  { storetest.SessionCache(t, open(t)) }
func TestOverflow(t *testing.T)      { storetest.Overflow(t, open(t)) }
