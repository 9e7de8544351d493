// Package api is Service One: the public HTTP edge. It starts every trace,
// checks that the user is valid, does the math tasks itself and asks feed for
// everything that is stored. It owns no data.
package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/feed"
	"pharos/feed/feedhttp"
	"pharos/funcmetrics"
	"pharos/internal/attempts"
	"pharos/internal/env"
	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
	"pharos/internal/obs"
	"pharos/internal/ratelimit"
	"pharos/internal/resilience"
	"pharos/jobs"
	"pharos/tasks"
)

// Config is the settings of the process api.
type Config struct {
	FeedURLs    []string   `env:"FEED_URLS,required,notEmpty"` // base URLs of feed's instances
	InternalKey env.Secret `env:"INTERNAL_KEY,required,notEmpty"`
	JWTKey      env.Secret `env:"JWT_KEY,required,notEmpty"`
	// OperatorKey is what operators show to look up and suspend users.
	OperatorKey env.Secret `env:"OPERATOR_API_KEY,required,notEmpty"`
	// JWTFormerKeys are keys whose tokens are still accepted.
	JWTFormerKeys []env.Secret `env:"JWT_FORMER_KEYS"`
	// UserCacheTTL is how long a user's standing is taken for granted.
	UserCacheTTL time.Duration `env:"USER_CACHE_TTL" envDefault:"10s"`
	// RequestTimeout is the longest that a request may take. nginx waits a
	// little longer, so that it is api that answers.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"5s"`
	// StaleBytes is how much of feed's answers is kept to be served while feed
	// is away, and StaleFor for how long; users known to be valid then are
	// taken for valid as long.
	StaleBytes int           `env:"STALE_BYTES" envDefault:"33554432"`
	StaleFor   time.Duration `env:"STALE_FOR" envDefault:"10m"`
	// MaxInFlight is how many requests are worked on at once; more are refused.
	MaxInFlight int `env:"API_MAX_IN_FLIGHT" envDefault:"256"`
	// CORSOrigins are the origins of web pages whose scripts may call the API;
	// without any, none may.
	CORSOrigins []string `env:"CORS_ORIGINS"`
	Tasks       tasks.Limits
	// Front is nginx's part of the limits, which /docs tells of.
	Front FrontLimits
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	switch {
	case c.UserCacheTTL < 0 || c.UserCacheTTL > 15*time.Second:
		return errors.New("USER_CACHE_TTL must be from 0s to 15s: feed caches for as long again, and a suspension must hold within 30s")
	case c.MaxInFlight < 1:
		return errors.New("API_MAX_IN_FLIGHT must be at least 1")
	case c.RequestTimeout <= 0 || c.RequestTimeout > time.Minute:
		return errors.New("REQUEST_TIMEOUT must be more than 0s and at most 1m")
	}
	return checkOrigins(c.CORSOrigins)
}

// Parts are what the server shares with the other instances.
type Parts struct {
	Limiter   *ratelimit.Limiter
	SignIns   *attempts.Limiter
	Keys      *idempotency.Keys
	Jobs      Jobs
	JobLimits jobs.Limits
	GuestJobs GuestJobs
	Guests    jobs.GuestConfig // what GuestJobs takes
	Functions Functions
	Events    *Events
	Recorder  *funcmetrics.Recorder
	// Settings are those of the parts above, which /docs tells of.
	Settings Settings
}

// The largest bodies of requests, in bytes: of most, and of a batch of events.
// nginx has a limit of its own.
const (
	MaxBody    = 64 << 10
	MaxAnyBody = 1 << 20
)

// Server answers the public API.
type Server struct {
	Parts

	feed        *feedhttp.Client
	tokens      *TokenKeys
	sessions    *recent[struct{}]
	grants      *recent[feed.Grant] // by the hashes of API keys
	tasks       *taskHandlers
	docs        *docHandlers
	origins     []string
	operatorKey env.Secret
	timeout     time.Duration
	atOnce      int
	tel         *obs.Telemetry
	stale       *staleAnswers
	now         func() time.Time
}

const (
	rememberedSessions = 100_000
	rememberedGrants   = 10_000
)

// NewServer returns the server with the given settings.
func NewServer(cfg *Config, parts Parts, metrics *resilience.Metrics, tel *obs.Telemetry, now func() time.Time) (*Server, error) {
	keys, err := feedhttp.NewKeys(cfg.InternalKey, nil, now)
	if err != nil {
		return nil, err
	}
	client, err := feedhttp.NewClient(cfg.FeedURLs, keys, metrics, tel.Log)
	if err != nil {
		return nil, err
	}
	tokens, err := NewTokenKeys(cfg.JWTKey, cfg.JWTFormerKeys, now)
	if err != nil {
		return nil, err
	}
	handlers, err := newTaskHandlers(cfg.Tasks, parts.Guests, parts.Recorder)
	if err != nil {
		return nil, err
	}
	docs, err := newDocHandlers(handlers.pages, limitsOf(cfg, parts.Settings))
	if err != nil {
		return nil, err
	}
	return &Server{
		Parts: parts, docs: docs, origins: cfg.CORSOrigins, atOnce: cfg.MaxInFlight, operatorKey: cfg.OperatorKey,
		feed: client, tokens: tokens, tasks: handlers, timeout: cfg.RequestTimeout, tel: tel,
		sessions: newRecent[struct{}](cfg.UserCacheTTL, cfg.StaleFor, rememberedSessions, now),
		grants:   newRecent[feed.Grant](cfg.UserCacheTTL, cfg.StaleFor, rememberedGrants, now),
		stale:    newStaleAnswers(cfg.StaleBytes, cfg.StaleFor, now), now: now,
	}, nil
}

// Router returns the Gin engine with every public route.
func (s *Server) Router(draining func() bool) *gin.Engine {
	// Without feed the tasks still work, so that readiness needs nothing.
	r := httpserver.NewRouter(s.tel, httpserver.RouterOptions{Draining: draining})
	if len(s.origins) > 0 {
		r.Use(crossOrigin(s.origins))
	}
	r.Use(httpserver.Shed(s.atOnce, s.tel.Metrics), httpserver.Deadline(s.timeout))

	public := httpserver.WithHead{RouterGroup: &r.RouterGroup}
	s.tasks.register(public)
	s.docs.register(public)
	(&jobPages{jobs: s.Jobs, guests: s.GuestJobs, tokens: s.tokens, tasks: s.tasks, now: s.now, crossOrigin: http.NewCrossOriginProtection()}).register(public)

	v1 := public.Group("/v1", takesJSON)
	v1.POST("/users", s.signUp)
	v1.POST("/sessions", s.signIn)

	limited := s.Limiter.Middleware(caller)
	// Without Idempotency-Key: an answer that holds a key must not be remembered.
	signedIn := v1.Group("", s.authenticate(""), limited)
	signedIn.DELETE("/sessions/current", s.signOut)
	signedIn.PUT("/follows/:handle", s.follow)
	signedIn.DELETE("/follows/:handle", s.unfollow)
	signedIn.GET("/users/me/requests", s.requests)
	signedIn.GET("/api-keys", s.listAPIKeys)
	signedIn.POST("/api-keys", s.createAPIKey)
	signedIn.DELETE("/api-keys/:id", s.revokeAPIKey)

	once := s.Keys.Middleware(userID)
	with := func(scope feed.Scope) httpserver.WithHead { return v1.Group("", s.authenticate(scope), limited, once) }
	with(feed.EventsWrite).POST("/events", s.Events.Post)
	with(feed.FeedRead).GET("/feed", s.timeline)
	posts := with(feed.PostsWrite)
	posts.POST("/posts", s.createPost)
	posts.DELETE("/posts/:id", s.deletePost)
	newJobHandlers(s.Jobs, s.JobLimits, userID).register(with(feed.JobsWrite))

	operators := v1.Group("", operator(s.operatorKey))
	newFunctionHandlers(s.Functions).register(operators)
	admin := operators.Group("/admin")
	admin.GET("/users", s.account)
	admin.GET("/users/:id/requests", s.accountRequests)
	admin.PUT("/users/:id/suspension", s.suspend)
	admin.DELETE("/users/:id/suspension", s.reactivate)
	return r
}
