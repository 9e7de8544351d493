package mongostore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pharos/feed/mongostore"
	"pharos/feed/storetest"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

// open returns a store in a database of its own.
func open(t testing.TB) *mongostore.Store {
	s, _ := openAt(t)
	return s
}

// openAt returns its settings, too.
func openAt(t testing.TB) (*mongostore.Store, mongostore.Config) {
	t.Helper()
	cfg := teststack.Config[mongostore.SetupConfig](t)
	cfg.URI = strings.Replace(cfg.URI, "/pharos?", "/test_"+storetest.ID(t)+"?", 1)
	if err := mongostore.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s, err := mongostore.Open(t.Context(), cfg.Config, resilience.NewMetrics(prometheus.NewRegistry()), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Drop(context.Background()); err != nil {
			t.Log(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Log(err)
		}
	})
	for range 2 { // the second time they are there
		if err := s.EnsureIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s, cfg.Config
}

func TestStore(t *testing.T) { storetest.Store(t, open(t)) }

func TestSetupAgainAndWithAWrongPassword(t *testing.T) {
	cfg := teststack.Config[mongostore.SetupConfig](t)
	if err := mongostore.Setup(t.Context(), cfg); err != nil {
		t.Errorf("again: %v", err)
	}
	cfg.RootPassword = "wrong"
	err := mongostore.Setup(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "MONGODB_ROOT_PASSWORD") {
		t.Errorf("wrong password: %v", err)
	}
}
