package sqlstore_test

import (
	"sync"
	"testing"

	"pharos/feed/sqlstore"
	"pharos/feed/storetest"
	"pharos/internal/obs"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

func open(t *testing.T) *sqlstore.Store {
	cfg := teststack.Config[sqlstore.Config](t)
	tel, err := obs.Discard("test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(cfg, tel, resilience.NewMetrics(tel.Metrics))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRequests(t *testing.T) { storetest.Requests(t, open(t)) }

func TestMigrateAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { open(t) })
	}
	wg.Wait()
}
