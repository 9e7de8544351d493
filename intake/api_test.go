package intake_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/intake"
	"pharos/internal/env"
)

func TestAuthorization(t *testing.T) {
	s := start(t, settings())
	for header, want := range map[string]struct {
		status  int
		message string
	}{
		"Bearer " + token:                {status: http.StatusOK},
		"bearer " + token:                {status: http.StatusOK},
		"":                               {http.StatusUnauthorized, "missing or improperly formatted Authorization header"},
		token:                            {http.StatusUnauthorized, "missing or improperly formatted Authorization header"},
		"ApiKey " + token:                {http.StatusUnauthorized, "missing or improperly formatted Authorization header"},
		"Bearer":                         {http.StatusUnauthorized, "missing or improperly formatted Authorization header"},
		"Bearer ":                        {http.StatusUnauthorized, "authentication failed"},
		"Bearer wrong":                   {http.StatusUnauthorized, "authentication failed"},
		"Bearer " + token + "x":          {http.StatusUnauthorized, "authentication failed"},
		"Bearer " + token[:len(token)-1]: {http.StatusUnauthorized, "authentication failed"},
	} {
		r := s.send(t, http.MethodGet, "/config/v1/agents?service.name=api", nil, "Authorization", header)
		if r.status != want.status || !strings.Contains(r.body, want.message) {
			t.Errorf("%q: answered %d %s", header, r.status, r.body)
		}
		events := s.post(t, strings.NewReader(metadata+transactions(1)), "Authorization", header)
		if (events.status == http.StatusUnauthorized) != (want.status == http.StatusUnauthorized) {
			t.Errorf("%q: events answered %d %s", header, events.status, events.body)
		}
		if events.status == http.StatusUnauthorized && !strings.HasPrefix(events.body, `{"error":"authentication failed`) {
			t.Errorf("%q: events answered %s", header, events.body)
		}
		for _, line := range s.logs.TakeAll() {
			if strings.Contains(line.Message, token) {
				t.Error("the log has the token")
			}
		}
	}
}

func TestServerInfo(t *testing.T) {
	s := start(t, settings())
	if r := s.send(t, http.MethodGet, "/", nil); r.status != http.StatusOK ||
		r.body != `{"version":"8.19.0","build_sha":"test","publish_ready":true}` {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	if r := s.send(t, http.MethodHead, "/", nil); r.status != http.StatusOK {
		t.Errorf("HEAD answered %d", r.status)
	}
	for _, header := range []string{"", "Bearer wrong"} {
		if r := s.send(t, http.MethodGet, "/", nil, "Authorization", header); r.status != http.StatusOK || r.body != "" {
			t.Errorf("%q: answered %d %s", header, r.status, r.body)
		}
	}
}

func TestAgentConfig(t *testing.T) {
	const path = "/config/v1/agents"
	s := start(t, settings())
	for name, r := range map[string]reply{
		"GET":          s.send(t, http.MethodGet, path+"?service.name=api&service.environment=dev", nil),
		"GET changed":  s.send(t, http.MethodGet, path+"?service.name=api", nil, "If-None-Match", `"other"`),
		"POST":         s.send(t, http.MethodPost, path, strings.NewReader(`{"service":{"name":"api"}}`)),
		"POST deflate": s.send(t, http.MethodPost, path, strings.NewReader(string(deflated(`{"service":{"name":"api"}}`))), "Content-Encoding", "deflate"),
	} {
		if r.status != http.StatusOK || r.body != "{}" || r.header.Get("Etag") != `"-"` || r.header.Get("Cache-Control") != "max-age=30, must-revalidate" {
			t.Errorf("%s: answered %d %s %v", name, r.status, r.body, r.header)
		}
	}
	if r := s.send(t, http.MethodGet, path+"?service.name=api", nil, "If-None-Match", `"-"`); r.status != http.StatusNotModified || r.body != "" || r.header.Get("Cache-Control") == "" {
		t.Errorf("unchanged: answered %d %s %v", r.status, r.body, r.header)
	}
	for name, r := range map[string]reply{
		"GET no name":   s.send(t, http.MethodGet, path, nil),
		"POST no name":  s.send(t, http.MethodPost, path, strings.NewReader(`{}`)),
		"POST no JSON":  s.send(t, http.MethodPost, path, strings.NewReader(`service`)),
		"POST empty":    s.send(t, http.MethodPost, path, nil),
		"POST too long": s.send(t, http.MethodPost, path, strings.NewReader(`{"a":"`+strings.Repeat("x", 100<<10)+`"}`)),
	} {
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, `{"error":"`) {
			t.Errorf("%s: answered %d %s", name, r.status, r.body)
		}
	}
}

func TestConfig(t *testing.T) {
	var c intake.Config
	if err := env.ParseMap(&c, map[string]string{"APM_SECRET_TOKEN": token}); err != nil {
		t.Fatal(err)
	}
	if c.MaxEventSize != 307200 || c.QueueWait != time.Second {
		t.Errorf("defaults %+v", c)
	}
	for name, value := range map[string]string{
		"APM_SECRET_TOKEN": "", "MAX_EVENT_SIZE": "10", "INTAKE_MAX_REQUEST_SIZE": "1", "INTAKE_MAX_STREAMS": "0",
		"INTAKE_QUEUE_BYTES": "-1", "INTAKE_QUEUE_WAIT": "0s", "INTAKE_FLUSH_BYTES": "0", "INTAKE_FLUSH_INTERVAL": "-1s", "INTAKE_BULK_REQUESTS": "0",
	} {
		vars := map[string]string{"APM_SECRET_TOKEN": token}
		vars[name] = value
		if err := env.ParseMap(&intake.Config{}, vars); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
