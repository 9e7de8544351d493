package api

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"pharos/api/openapi"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// docHandlers answer the document of the API: as it is, and as pages.
type docHandlers struct {
	pages      *pages
	doc        *openapi.Document
	yaml, json []byte
	limits     []limitGroup
	problems   []problemView
}

func newDocHandlers(p *pages, limits []limitGroup) (*docHandlers, error) {
	doc, err := openapi.Parse()
	if err != nil {
		return nil, err
	}
	text, err := doc.JSON()
	if err != nil {
		return nil, fmt.Errorf("write openapi.json: %w", err)
	}
	return &docHandlers{pages: p, doc: doc, yaml: openapi.YAML(), json: text, limits: limits, problems: problemViews(doc.Problems)}, nil
}

func (h *docHandlers) register(r gin.IRoutes) {
	r.GET("/docs", h.page)
	r.GET("/problems/:code", h.problem)
	r.GET("/openapi.yaml", h.source("application/yaml", h.yaml)) // RFC 9512
	r.GET("/openapi.json", h.source("application/json", h.json))
}

func (h *docHandlers) source(contentType string, body []byte) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-cache")
		answerOrUnchanged(c, contentType, body)
	}
}

func (h *docHandlers) page(c *gin.Context) {
	view, err := h.docsView(origin(c))
	if err != nil {
		httpserver.Problem(c, fmt.Errorf("make page of the document: %w", err))
		return
	}
	c.Header("Cache-Control", "no-cache")
	h.pages.render(c, http.StatusOK, "docs", view)
}

// problem answers what a problem's type leads to. Only a client that asks for
// JSON gets JSON.
func (h *docHandlers) problem(c *gin.Context) {
	i := slices.IndexFunc(h.problems, func(p problemView) bool { return p.Code == c.Param("code") })
	if i < 0 {
		httpserver.Problem(c, fault.Field(fault.NotFound, "code", "There is no problem of this name; /docs lists all."))
		return
	}
	c.Writer.Header().Add("Vary", "Accept")
	c.Header("Cache-Control", "no-cache")
	p := h.problems[i]
	if prefersJSON(accept(c)) {
		c.JSON(http.StatusOK, p)
		return
	}
	h.pages.render(c, http.StatusOK, "problem", problemPage{Title: p.Title + " · Pharos", Name: "problem", Problem: p})
}
