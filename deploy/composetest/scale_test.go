package composetest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestScale makes four of api out of two and takes two away again, one after the
// other, while requests come in: all four are used, and no request fails.
func TestScale(t *testing.T) {
	s := open(t)
	failed := make(chan string, 1)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			a, err := s.tryAsk(t, "NGINX_PORT", "GET", "/tasks/factorial?n=5", "")
			if err != nil || a.status != http.StatusOK {
				select {
				case failed <- fmt.Sprintf("%v %d %.300s", err, a.status, a.body):
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		select {
		case f := <-failed:
			t.Errorf("a request failed: %s", f)
		default:
		}
	})

	s.compose(t, "", "up", "-d", "--no-build", "--no-recreate", "--no-deps", "--scale", "api=4", "api")
	eventually(t, 3*time.Minute, "four of api", func() string { return s.healthy(t, "api", 4) })
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

	for n := 3; n >= 2; n-- {
		s.compose(t, "", "up", "-d", "--no-build", "--no-recreate", "--no-deps", "--scale", fmt.Sprintf("api=%d", n), "api")
		eventually(t, time.Minute, "less of api", func() string { return s.healthy(t, "api", n) })
		// nginx asks for api's addresses every second, and tries two of them.
		time.Sleep(3 * time.Second)
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
