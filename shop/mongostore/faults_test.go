package mongostore_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"

	"pharos/internal/faultproxy"
	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/mongostore"
)

// TestFaults lets the network to MongoDB fail in every way while events are
// kept, again and again until it is done: each is kept once.
func TestFaults(t *testing.T) {
	teststack.Need(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(os.Getenv("MONGODB_URI"), "mongodb://"), "/")
	proxy := faultproxy.New(t, host)
	// The replica set would name the server's own address.
	t.Setenv("MONGODB_URI", strings.Replace(os.Getenv("MONGODB_URI"), host, proxy.Addr, 1)+"&directConnection=true")
	c := open(t)
	ingest := shop.NewIngest(c.NewEvents(mongostore.EventsConfig{Retention: time.Hour}))
	const batch = 50
	for _, fault := range faultproxy.All() {
		t.Run(fault.Name, func(t *testing.T) {
			var events []shop.Received
			for i := range batch {
				events = append(events, received(t, view(fmt.Sprintf("%s-%d", fault.Name, i), "")))
			}
			keep := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				failed, err := ingest.Apply(ctx, events)
				if len(failed) > 0 {
					t.Errorf("refused: %v", failed)
				}
				return err
			}
			proxy.Break(t, fault)
			begin := time.Now()
			err := keep()
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("keeping took %s", took)
			}
			proxy.Heal(t)
			for deadline := time.Now().Add(30 * time.Second); err != nil; time.Sleep(20 * time.Millisecond) {
				if err = keep(); time.Now().After(deadline) {
					t.Fatalf("not kept although the network is back: %v", err)
				}
			}
		})
	}
	var kept []bson.M
	if err := c.Find(t.Context(), "shop_events", &kept); err != nil {
		t.Fatal(err)
	}
	if want := batch * len(faultproxy.All()); len(kept) != want {
		t.Errorf("%d events are kept instead of %d", len(kept), want)
	}
}
