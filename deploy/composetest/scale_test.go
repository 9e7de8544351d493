package composetest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestScale makes four of api out of two and takes two away again, one after the
// other as docs/docker.md says, while requests come in. All four are used. No
// request fails while it grows; while it shrinks, one may for each that goes.
func TestScale(t *testing.T) {
	s := open(t)
	var total, failed atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			total.Add(1)
			a, err := s.tryAsk(t, "NGINX_PORT", "GET", "/tasks/factorial?n=5", "")
			if err != nil || a.status != http.StatusOK {
				failed.Add(1)
				t.Logf("%v %d %.300s", err, a.status, a.body)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})

	scale := func(n int) {
		s.compose(t, "", "up", "-d", "--no-build", "--no-recreate", "--no-deps", "--scale", fmt.Sprintf("api=%d", n), "api")
		eventually(t, 3*time.Minute, fmt.Sprintf("%d of api", n), func() string { return s.healthy(t, "api", n) })
	}
	scale(3)
	scale(4)
	grown := time.Now()
	addresses := map[any]bool{}
	eventually(t, arrival, "requests on all four", func() string {
		since := query{"range": query{"@timestamp": query{"gte": grown.UTC().Format(time.RFC3339)}}}
		for _, line := range s.search(t, "logs-pharos-default", all(term("service.name", "api"), term("http.route", "/tasks/factorial"), since)) {
			addresses[field(line, "service.node.name")] = true
		}
		if len(addresses) != 4 {
			return fmt.Sprint(slices.Collect(maps.Keys(addresses)))
		}
		return ""
	})
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed while api grew", n, total.Load())
	}

	for _, n := range []int{3, 2} {
		failed.Store(0)
		scale(n)
		time.Sleep(3 * time.Second) // nginx asks for api's addresses every second
		if f := failed.Load(); f > 1 {
			t.Errorf("%d requests failed while one of api went", f)
		}
	}
}

// healthy says which of a service's containers are not, or that there is another
// number of them.
func (s up) healthy(t *testing.T, service string, n int) string {
	t.Helper()
	found := s.containers(t, service)
	var waiting []string
	for _, c := range found {
		if c.Health != "healthy" {
			waiting = append(waiting, c.Name+" "+c.State+" "+c.Health)
		}
	}
	if len(found) != n {
		return fmt.Sprintf("%d containers", len(found))
	}
	return strings.Join(waiting, ", ")
}
