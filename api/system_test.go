package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"pharos/api"
	"pharos/feed"
	"pharos/feed/feedhttp"
	"pharos/feed/mongostore"
	"pharos/feed/rediscache"
	"pharos/feed/sqlstore"
	"pharos/internal/attempts"
	"pharos/internal/env"
	"pharos/internal/faultproxy"
	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
	"pharos/internal/obs"
	"pharos/internal/ratelimit"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

// testDB is a database of Redis that no process of the stack uses.
const testDB = 10

const (
	internalKey = "0123456789abcdef0123456789abcdef"
	apiTimeout  = 4 * time.Second
	feedTimeout = 3500 * time.Millisecond
	// patience is far beyond every deadline of the system: an answer that takes
	// longer does not keep to its deadline.
	patience = 15 * time.Second
)

// system is api and two instances of feed on real stores, with a proxy before
// each part, wired as cmd/api and cmd/feed do.
type system struct {
	redis, mongodb, mysql *faultproxy.Proxy
	feeds                 []*faultproxy.Proxy
	atFeed                atomic.Int64 // requests that reached an instance of feed
	made                  atomic.Int64 // pages that were read from MongoDB
	telemetry             []*obs.Telemetry
	url                   string
	client                *http.Client
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB) *system {
	t.Helper()
	redisCfg := teststack.Config[redisconn.Config](t)
	mongoCfg := teststack.Config[mongostore.SetupConfig](t)
	mysqlCfg := teststack.Config[sqlstore.Config](t)
	host, _, _ := strings.Cut(strings.TrimPrefix(mongoCfg.URI, "mongodb://"), "/")
	s := &system{
		redis: faultproxy.New(t, redisCfg.Addr), mongodb: faultproxy.New(t, host), mysql: faultproxy.New(t, mysqlCfg.Addr),
		client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 200}},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	mongoCfg.URI = strings.Replace(mongoCfg.URI, "/pharos?", "/test_"+uuid.NewString()+"?", 1)
	check(t, mongostore.Setup(t.Context(), mongoCfg))
	// The replica set would name the server's own address.
	mongoCfg.URI = strings.Replace(mongoCfg.URI, host, s.mongodb.Addr, 1) + "&directConnection=true"
	mysqlCfg.Addr = s.mysql.Addr
	redisCfg.Addr, redisCfg.DB, redisCfg.Timeout = s.redis.Addr, testDB, 250*time.Millisecond

	var urls []string
	for i := range 2 {
		urls = append(urls, s.addFeed(t, i, mongoCfg.Config, mysqlCfg, redisCfg))
	}
	s.addAPI(t, urls, redisCfg)
	return s
}

func (s *system) discard(t testing.TB, name string) *obs.Telemetry {
	t.Helper()
	tel, err := obs.Discard(name)
	check(t, err)
	t.Cleanup(tel.Tracer.Close)
	s.telemetry = append(s.telemetry, tel)
	return tel
}

func openRedis(t testing.TB, cfg redisconn.Config, metrics *resilience.Metrics) *redis.Client {
	t.Helper()
	rdb, err := redisconn.Open(cfg)
	check(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	redisconn.Guard(rdb, cfg, metrics, zap.NewNop())
	return rdb
}

// addFeed starts an instance of feed behind a proxy, and returns its URL.
func (s *system) addFeed(t testing.TB, i int, mongoCfg mongostore.Config, mysqlCfg sqlstore.Config, redisCfg redisconn.Config) string {
	t.Helper()
	tel := s.discard(t, "feed")
	metrics := resilience.NewMetrics(tel.Metrics)
	keys, err := feedhttp.NewKeys(internalKey, nil, time.Now)
	check(t, err)
	hasher, err := feed.NewHasher(2)
	check(t, err)
	rdb := openRedis(t, redisCfg, metrics)
	store, err := mongostore.Open(t.Context(), mongoCfg, metrics, tel.Log)
	check(t, err)
	t.Cleanup(func() {
		if i == 0 {
			_ = store.Drop(context.Background())
		}
		_ = store.Close(context.Background())
	})
	requests, err := sqlstore.Open(mysqlCfg, tel, metrics)
	check(t, err)
	t.Cleanup(func() { _ = requests.Close() })
	if i == 0 {
		check(t, errors.Join(rdb.FlushDB(t.Context()).Err(), store.EnsureIndexes(t.Context()), requests.Migrate(t.Context())))
	}
	cache := rediscache.New(rdb, rediscache.Config{TimelineTTL: time.Hour, SessionFreshFor: 15 * time.Second, SessionTTL: 15 * time.Minute}, time.Now)
	report := func(_ context.Context, err error) {}
	tracker := feed.NewTracker(feed.TrackerOptions{Store: requests, Overflow: cache, Queue: 10_000, Batch: 500, Every: 50 * time.Millisecond, Report: report})
	service := feed.NewService(feed.Options{
		Store: counted{store, &s.made}, Cache: cache, Sessions: cache, Hasher: hasher, SessionTTL: time.Hour, FreshFor: 5 * time.Minute, Direct: 16,
		MakeWithin: feedTimeout, Now: time.Now, Report: report,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = tracker.Run(ctx) })
	running.Go(func() { _ = service.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	router := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	router.Use(httpserver.Shed(1000, tel.Metrics), httpserver.CallerDeadline(feedTimeout))
	(&feedhttp.Server{Service: service, Requests: requests, Tracker: tracker, Keys: keys, Now: time.Now}).Register(router)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.atFeed.Add(1)
		router.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p := faultproxy.New(t, server.Listener.Addr().String())
	s.feeds = append(s.feeds, p)
	return "http://" + p.Addr
}

// counted counts the pages that are made.
type counted struct {
	feed.Store
	made *atomic.Int64
}

func (c counted) PostsBy(ctx context.Context, authors []string, before string, limit int) ([]feed.Post, error) {
	c.made.Add(1)
	return c.Store.PostsBy(ctx, authors, before, limit)
}

func (s *system) addAPI(t testing.TB, feeds []string, redisCfg redisconn.Config) {
	t.Helper()
	tel := s.discard(t, "api")
	metrics := resilience.NewMetrics(tel.Metrics)
	var cfg api.Config
	check(t, env.ParseMap(&cfg, map[string]string{
		"FEED_URLS": strings.Join(feeds, ","), "INTERNAL_KEY": internalKey, "JWT_KEY": internalKey, "OPERATOR_API_KEY": "operator",
		"REQUEST_TIMEOUT": apiTimeout.String(), "API_MAX_IN_FLIGHT": "1000",
	}))
	rdb := openRedis(t, redisCfg, metrics)
	limiter, err := ratelimit.New(rdb, ratelimit.Config{PerSecond: 100_000, Burst: 100_000})
	check(t, err)
	signIns, err := attempts.New(rdb, attempts.Config{FreePerHandle: 5, FreePerAddress: 50, FirstWait: time.Second, MaxWait: time.Minute, Forget: time.Hour}, time.Now)
	check(t, err)
	server, err := api.NewServer(&cfg, api.Parts{
		Limiter: limiter, SignIns: signIns, Keys: idempotency.New(rdb, idempotency.Config{TTL: time.Hour, Claim: time.Minute}, api.MaxAnyBody), Events: api.NewEvents(api.EventsOptions{}),
	}, metrics, tel, time.Now)
	check(t, err)
	front := httptest.NewServer(server.Router(func() bool { return false }))
	t.Cleanup(front.Close)
	s.url = front.URL
}

// breakers is the sum of pharos_dependency_breaker_open of a dependency: 0
// when every breaker of every process is closed.
func (s *system) breakers(t testing.TB, dependency string) (sum float64) {
	t.Helper()
	for _, tel := range s.telemetry {
		families, err := tel.Metrics.Gather()
		check(t, err)
		for _, f := range families {
			if f.GetName() != "pharos_dependency_breaker_open" {
				continue
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "dependency" && l.GetValue() == dependency {
						sum += m.GetGauge().GetValue()
					}
				}
			}
		}
	}
	return sum
}

// answer is what api answered.
type answer struct {
	status int
	header http.Header
	body   []byte
	page   struct {
		Items []struct {
			ID, Text  string
			RequestID string `json:"request_id"`
		}
		NextCursor string `json:"next_cursor"`
		Degraded   []string
		Type       string
		Field      string
	}
}

func (a answer) degraded() string { return strings.Join(a.page.Degraded, ",") }

// user is somebody who is signed in.
type user struct {
	Handle string `json:"handle"`
	token  string
}

// do asks api. It fails the test where there is no answer within patience.
func (s *system) do(t testing.TB, method, path, body string, u *user, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	check(t, err)
	if u != nil {
		req.Header.Set("Authorization", "Bearer "+u.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &a.page); err != nil {
			t.Errorf("%s %s: %v in %.200s", method, path, err, a.body)
		}
	}
	return a
}

func (s *system) signUp(t testing.TB) *user {
	t.Helper()
	u := &user{Handle: "u" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]}
	if a := s.do(t, "POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":"N","password":"long enough"}`, u.Handle), nil); a.status != 201 {
		t.Fatalf("sign up: %d %s", a.status, a.body)
	}
	a := s.do(t, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"long enough"}`, u.Handle), nil)
	var session struct{ Token string }
	if err := json.Unmarshal(a.body, &session); err != nil || session.Token == "" {
		t.Fatalf("sign in: %d %s", a.status, a.body)
	}
	u.token = session.Token
	return u
}

// eventually waits until ok returns "".
func eventually(t testing.TB, what string, ok func() string) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		missing := ok()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 40 s: %s", what, missing)
		}
	}
}
