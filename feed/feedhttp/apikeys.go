package feedhttp

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"pharos/feed"
	"pharos/internal/httpserver"
)

// apiKeyHeader carries a user's key that api was shown. It is never logged; the
// APM agent masks headers of this name.
const apiKeyHeader = "X-Api-Key"

// verifiedKey is where api asks what a key allows. It is no route of the public
// API, as GET /v1/sessions/current is none.
const verifiedKey = "/api-keys/current"

type apiKeyList struct {
	Items []feed.APIKey `json:"items"`
}

func (s *Server) verifyAPIKey(c *gin.Context) {
	g, err := s.Service.VerifyAPIKey(c.Request.Context(), c.GetHeader(apiKeyHeader))
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	httpserver.SetUser(c, g.UserID)
	httpserver.SetAPIKey(c, g.KeyID)
	c.JSON(http.StatusOK, g)
}

func (s *Server) createAPIKey(c *gin.Context) {
	var in feed.NewAPIKey
	if err := httpserver.DecodeJSON(c, &in, maxBody); err != nil {
		httpserver.Problem(c, err)
		return
	}
	k, err := s.Service.CreateAPIKey(c.Request.Context(), identity(c).UserID, in)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Set(keyOutcome, outcome{returned: 1})
	c.JSON(http.StatusCreated, k)
}

func (s *Server) apiKeys(c *gin.Context) {
	keys, err := s.Service.APIKeys(c.Request.Context(), identity(c).UserID)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	c.Set(keyOutcome, outcome{returned: len(keys), source: feed.FromMongoDB})
	c.JSON(http.StatusOK, apiKeyList{keys})
}

func (s *Server) revokeAPIKey(c *gin.Context) {
	s.answer(c, s.Service.RevokeAPIKey(c.Request.Context(), identity(c).UserID, c.Param("id")))
}

// VerifyAPIKey returns what the key allows.
func (c *Client) VerifyAPIKey(ctx context.Context, call Call, key string) (feed.Grant, error) {
	call.apiKey = key
	var g feed.Grant
	return g, c.json(ctx, call, http.MethodGet, "/v1"+verifiedKey, nil, &g)
}

// CreateAPIKey makes a key of the user's.
func (c *Client) CreateAPIKey(ctx context.Context, call Call, in feed.NewAPIKey) (feed.IssuedAPIKey, error) {
	var k feed.IssuedAPIKey
	return k, c.json(ctx, call, http.MethodPost, "/v1/api-keys", in, &k)
}

// APIKeys returns the user's keys: {"items":[feed.APIKey…]}.
func (c *Client) APIKeys(ctx context.Context, call Call) (Answer, error) {
	_, body, err := c.do(ctx, call, http.MethodGet, "/v1/api-keys", nil)
	return Answer{JSON: body, Source: feed.FromMongoDB}, err
}

// RevokeAPIKey removes a key of the user's own.
func (c *Client) RevokeAPIKey(ctx context.Context, call Call, id string) error {
	return c.json(ctx, call, http.MethodDelete, "/v1/api-keys/"+url.PathEscape(id), nil, nil)
}
