package feedhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"

	"pharos/feed"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// Header names of what an answer says beside its body.
const (
	sourceHeader   = "X-Source"   // the store that the answer was read from
	degradedHeader = "X-Degraded" // parts that it was made without
)

const maxBody = 64 << 10

// Server answers api's calls. Its paths are those of the public API, so that a
// request is called the same wherever it is seen.
type Server struct {
	Service  *feed.Service
	Requests feed.RequestStore
	Tracker  *feed.Tracker
	Keys     *Keys
	Now      func() time.Time
}

// Register adds the server's routes to r. Each needs the service credential;
// those behind the identity also a session that may act.
func (s *Server) Register(r *gin.Engine) {
	v1 := r.Group("/v1", s.track, s.service)
	v1.POST("/users", s.signUp)
	v1.POST("/sessions", s.signIn)

	v1.GET(verifiedKey, s.verifyAPIKey)
	s.registerAdmin(v1.Group("/admin"))

	user := v1.Group("", s.identify)
	user.GET("/sessions/current", s.checkSession)
	user.DELETE("/sessions/current", s.signOut)
	user.GET("/api-keys", s.apiKeys)
	user.POST("/api-keys", s.createAPIKey)
	user.DELETE("/api-keys/:id", s.revokeAPIKey)
	user.POST("/posts", s.createPost)
	user.DELETE("/posts/:id", s.deletePost)
	user.PUT("/follows/:handle", s.follow)
	user.DELETE("/follows/:handle", s.unfollow)
	user.GET("/feed", s.timeline)
	user.GET("/users/me/requests", s.requests)
}

const (
	keyIdentity = "feedhttp.identity"
	keyOutcome  = "feedhttp.outcome"
)

// outcome is what a handler tells the tracker of its answer.
type outcome struct {
	userID   string // set by sign-up and sign-in, which come without identity
	returned int
	source   feed.Source
}

func (s *Server) service(c *gin.Context) {
	if err := s.Keys.checkService(c.Request); err != nil {
		httpserver.Problem(c, fmt.Errorf("check service credential: %w: %w", fault.New(fault.Forbidden, "Only api may call feed."), err))
	}
}

func (s *Server) identify(c *gin.Context) {
	id, err := s.Keys.identity(c.Request)
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("check identity: %w: %w", fault.New(fault.Forbidden, "The call names no user."), err))
		return
	}
	httpserver.SetUser(c, id.UserID)
	c.Set(keyIdentity, id)
	if c.Request.Method == http.MethodDelete && c.FullPath() == "/v1/sessions/current" {
		return // who has just been suspended may still sign out
	}
	if id.KeyID != "" {
		httpserver.SetAPIKey(c, id.KeyID)
		err = s.Service.CheckAPIKey(c.Request.Context(), id.KeyID, id.UserID)
	} else {
		err = s.Service.CheckSession(c.Request.Context(), id.SessionID, id.UserID)
	}
	if err != nil {
		httpserver.Problem(c, err)
	}
}

func identity(c *gin.Context) Identity {
	id, _ := c.MustGet(keyIdentity).(Identity)
	return id
}

// track hands each answered request of a known user to the tracker.
func (s *Server) track(c *gin.Context) {
	start := s.Now()
	c.Next()
	v, _ := c.Get(keyOutcome)
	o, _ := v.(outcome)
	if v, ok := c.Get(keyIdentity); ok {
		id, _ := v.(Identity)
		o.userID = id.UserID
	}
	if o.userID == "" || c.FullPath() == "/v1/sessions/current" && c.Request.Method == http.MethodGet {
		return // nobody's, or api's own question rather than a user's
	}
	id, err := uuid.NewV7()
	if err != nil {
		httpserver.LogFault(c, fmt.Errorf("track request: make an id: %w", err))
		return
	}
	parent := ""
	if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
		parent = apmhttp.FormatTraceparentHeader(tx.TraceContext())
	}
	s.Tracker.Track(feed.Request{
		ID: id.String(), UserID: o.userID, TraceParent: parent,
		RequestID: httpserver.RequestID(c), TraceID: httpserver.TraceID(c),
		Method: c.Request.Method, Path: c.Request.URL.RequestURI(),
		Status: c.Writer.Status(), Returned: o.returned, Source: o.source,
		DurationMS: float64(s.Now().Sub(start).Microseconds()) / 1000, At: start.UTC(),
	})
}

func (s *Server) signUp(c *gin.Context) {
	var in feed.SignUp
	if err := httpserver.DecodeJSON(c, &in, maxBody); err != nil {
		httpserver.Problem(c, err)
		return
	}
	u, err := s.Service.SignUp(c.Request.Context(), in)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	httpserver.SetUser(c, u.ID)
	c.Set(keyOutcome, outcome{userID: u.ID, returned: 1})
	c.JSON(http.StatusCreated, u)
}

type credentials struct {
	Handle   string `json:"handle"`
	Password string `json:"password"`
}

func (s *Server) signIn(c *gin.Context) {
	var in credentials
	if err := httpserver.DecodeJSON(c, &in, maxBody); err != nil {
		httpserver.Problem(c, err)
		return
	}
	session, err := s.Service.SignIn(c.Request.Context(), in.Handle, in.Password)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	httpserver.SetUser(c, session.User.ID)
	c.Set(keyOutcome, outcome{userID: session.User.ID, returned: 1})
	c.JSON(http.StatusCreated, session)
}

func (s *Server) checkSession(c *gin.Context) { c.Status(http.StatusNoContent) }

func (s *Server) signOut(c *gin.Context) {
	s.answer(c, s.Service.SignOut(c.Request.Context(), identity(c).SessionID, identity(c).UserID))
}

type newPost struct {
	Text   string `json:"text"`
	Effect string `json:"effect,omitempty"`
}

func (s *Server) createPost(c *gin.Context) {
	var in newPost
	if err := httpserver.DecodeJSON(c, &in, maxBody); err != nil {
		httpserver.Problem(c, err)
		return
	}
	p, err := s.Service.CreatePost(c.Request.Context(), identity(c).UserID, in.Text, in.Effect)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Set(keyOutcome, outcome{returned: 1})
	c.JSON(http.StatusCreated, p)
}

func (s *Server) deletePost(c *gin.Context) {
	s.answer(c, s.Service.DeletePost(c.Request.Context(), identity(c).UserID, c.Param("id")))
}

func (s *Server) follow(c *gin.Context) {
	s.answer(c, s.Service.Follow(c.Request.Context(), identity(c).UserID, c.Param("handle")))
}

func (s *Server) unfollow(c *gin.Context) {
	s.answer(c, s.Service.Unfollow(c.Request.Context(), identity(c).UserID, c.Param("handle")))
}

func (s *Server) answer(c *gin.Context, err error) {
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) timeline(c *gin.Context) {
	limit, err := limit(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	page, err := s.Service.Timeline(c.Request.Context(), identity(c).UserID, limit, c.Query("cursor"))
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Set(keyOutcome, outcome{returned: page.Count, source: page.Source})
	c.Header(sourceHeader, string(page.Source))
	for _, part := range page.Degraded {
		c.Writer.Header().Add(degradedHeader, string(part))
	}
	if len(page.Degraded) > 0 && page.Age > 0 {
		// Rounded up: 0 would say that it is not stale.
		c.Header("Age", strconv.FormatInt(int64((page.Age+time.Second-1)/time.Second), 10))
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", page.JSON)
}

func (s *Server) requests(c *gin.Context) {
	limit, err := limit(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	page, err := feed.RequestsOf(c.Request.Context(), s.Requests, identity(c).UserID, limit, c.Query("cursor"))
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Set(keyOutcome, outcome{returned: len(page.Items), source: feed.FromMySQL})
	c.Header(sourceHeader, string(feed.FromMySQL))
	c.JSON(http.StatusOK, page)
}

func limit(c *gin.Context) (int, error) {
	q := c.Request.URL.Query()
	if !q.Has("limit") {
		return feed.DefaultLimit, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		return 0, fault.Field(fault.InvalidParameter, "limit", "limit must be a whole number from 1 to %d.", feed.MaxLimit)
	}
	return n, nil
}
