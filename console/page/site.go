// Package page is the frame of the console's pages: who reads, what time they are
// about, how they are written as HTML or JSON, and what they say when something
// fails. Each page is a package of its own that is registered here.
package page

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/look"
)

//go:embed layout.html parts.html signin.html problem.html
var files embed.FS

// Config is what a site is made of. All of it is needed.
type Config struct {
	// Elasticsearch is asked as the reader, never as the console's own account.
	Elasticsearch *elastic.Client
	Sessions      *session.Manager
	Assets        *look.Assets
	Now           func() time.Time
	// Timeout bounds all that one page asks.
	Timeout time.Duration
	// Environment and Region are where this Pharos runs.
	Environment, Region string
}

// Site holds the pages.
type Site struct {
	cfg     Config
	router  gin.IRoutes
	menu    []Section
	signin  *template.Template
	problem *template.Template
	protect *http.CrossOriginProtection
}

// Section is a part of the menu.
type Section struct {
	Title string
	Links []MenuLink
}

// MenuLink leads to a page.
type MenuLink struct {
	Name, Title, Path string
	need              Need
}

// Need is what a page asks of a reader's rights.
type Need func(session.Rights) bool

// Anybody may read a page who may sign in.
func Anybody(session.Rights) bool { return true }

// Page is one page of the console.
type Page struct {
	Section string // of the menu
	Name    string // its key in the menu, and the name of its template without .html
	Title   string
	Path    string
	Need    Need
	// Files holds Name.html, which defines "main" for the page's view, and other
	// templates that it may use.
	Files fs.FS
	// Hidden leaves the page out of the menu.
	Hidden bool
	// View returns what the page shows; it is what a program gets as JSON. One that
	// is Titled names the page.
	View func(*Request) (any, error)
	// Post returns what the page shows after its own form was sent, for what asks
	// much and changes nothing; nil: there is no such form. It may take PostTimeout,
	// if that is longer than the site's.
	Post        func(*Request) (any, error)
	PostTimeout time.Duration
}

// Titled is a view that names its page by what it shows.
type Titled interface{ PageTitle() string }

// Elsewhere is the error of a view that has moved: its reader is sent to the
// address, one of this site.
type Elsewhere string

// Error returns the address.
func (e Elsewhere) Error() string { return "moved to " + string(e) }

// NewSite returns a site that answers on r.
func NewSite(r gin.IRoutes, cfg Config) (*Site, error) {
	s := &Site{cfg: cfg, router: r, protect: http.NewCrossOriginProtection()}
	var err error
	if s.signin, err = s.parse(files, "signin.html"); err != nil {
		return nil, err
	}
	if s.problem, err = s.parse(files, "problem.html"); err != nil {
		return nil, err
	}
	r.GET("/assets/*filepath", cfg.Assets.Serve)
	r.GET("/sign-in", s.signInPage)
	r.POST("/sign-in", s.signIn)
	r.POST("/sign-out", s.signOut)
	return s, nil
}

func (s *Site) parse(own fs.FS, name string) (*template.Template, error) {
	t := template.New("page").Funcs(s.funcs())
	if _, err := t.ParseFS(files, "layout.html", "parts.html"); err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	patterns := []string{name}
	if more, _ := fs.Glob(own, "part_*.html"); len(more) > 0 {
		patterns = append(patterns, more...)
	}
	if _, err := t.ParseFS(own, patterns...); err != nil {
		return nil, fmt.Errorf("parse page %s: %w", name, err)
	}
	return t, nil
}

// Add registers a page at its path, and its JSON at the path with ".json".
func (s *Site) Add(p Page) error {
	t, err := s.parse(p.Files, p.Name+".html")
	if err != nil {
		return err
	}
	if !p.Hidden {
		s.addToMenu(p)
	}
	answer := func(r *Request, view any, err error) {
		r.page = p.Name
		switch {
		case err != nil:
			s.fail(r, err)
		case r.ended:
			s.askToSignIn(r)
		case r.json:
			r.Header("Cache-Control", "private, no-store")
			r.JSON(http.StatusOK, view)
		default:
			title := p.Title
			if named, ok := view.(Titled); ok {
				title = named.PageTitle()
			}
			s.render(r, http.StatusOK, t, title, view)
		}
	}
	handle := func(c *gin.Context) {
		r, ok := s.open(c, p.Need)
		if !ok {
			return
		}
		defer r.cancel()
		r.page = p.Name
		view, err := p.View(r)
		answer(r, view, err)
	}
	s.router.GET(p.Path, handle)
	switch last := p.Path[strings.LastIndex(p.Path, "/")+1:]; {
	case p.Path == "/":
		s.router.GET("/overview.json", handle)
	case strings.HasPrefix(last, ":"):
		// The same route: Param leaves the ".json" out.
	default:
		s.router.GET(p.Path+".json", handle)
	}
	if p.Post == nil {
		return nil
	}
	s.router.POST(p.Path, func(c *gin.Context) {
		r, ok := s.openWithin(c, p.Need, max(s.cfg.Timeout, p.PostTimeout))
		if !ok {
			return
		}
		defer r.cancel()
		r.page = p.Name
		var view any
		err := s.checkForm(r)
		if err == nil {
			view, err = p.Post(r)
		}
		answer(r, view, err)
	})
	return nil
}

func (s *Site) addToMenu(p Page) {
	link := MenuLink{p.Name, p.Title, p.Path, p.Need}
	for i := range s.menu {
		if s.menu[i].Title == p.Section {
			s.menu[i].Links = append(s.menu[i].Links, link)
			return
		}
	}
	s.menu = append(s.menu, Section{p.Section, []MenuLink{link}})
}

// Stream registers a GET that answers by itself: an export, events. It has no
// time limit but the reader's patience.
func (s *Site) Stream(path string, need Need, handle func(*Request) error) {
	s.router.GET(path, func(c *gin.Context) {
		r, ok := s.open(c, need)
		if !ok {
			return
		}
		r.cancel()
		// The page's limit is not the stream's.
		c.Request = c.Request.WithContext(r.parent)
		if err := handle(r); err != nil {
			s.fail(r, err)
		}
	})
}

// Action registers a POST that changes something. It is refused if another site
// may have sent it. handle returns where to go next; a program gets 204.
func (s *Site) Action(path string, need Need, handle func(*Request) (string, error)) {
	s.router.POST(path, func(c *gin.Context) {
		r, ok := s.open(c, need)
		if !ok {
			return
		}
		defer r.cancel()
		err := s.checkForm(r)
		var next string
		if err == nil {
			next, err = handle(r)
		}
		switch {
		case err != nil:
			s.fail(r, err)
		case r.json:
			c.Status(http.StatusNoContent)
		default:
			c.Redirect(http.StatusSeeOther, next)
		}
	})
}

// checkForm refuses a form that another site may have sent.
func (s *Site) checkForm(r *Request) error {
	r.Request.Body = http.MaxBytesReader(r.Writer, r.Request.Body, 1<<20)
	if s.protect.Check(r.Request) != nil {
		return fault.New(fault.Forbidden, "The form comes from another site.")
	}
	return session.CheckToken(r.Reader, r.PostForm("csrf"))
}

// open finds out who asks and what for. It answers by itself, and returns false,
// where that is nobody or one who may not.
func (s *Site) open(c *gin.Context, need Need) (*Request, bool) {
	return s.openWithin(c, need, s.cfg.Timeout)
}

func (s *Site) openWithin(c *gin.Context, need Need, timeout time.Duration) (*Request, bool) {
	r := &Request{Context: c, site: s, Now: s.cfg.Now(), Zone: time.UTC, json: wantsJSON(c), parent: c.Request.Context()}
	if cookie, err := c.Cookie("pharos_zone"); err == nil && len(cookie) < 64 {
		if zone, err := time.LoadLocation(cookie); err == nil && cookie != "Local" {
			r.Zone = zone
		}
	}
	ctx, cancel := context.WithTimeout(r.parent, timeout)
	r.cancel = cancel
	c.Request = c.Request.WithContext(ctx)
	var err error
	r.Reader, err = s.cfg.Sessions.Read(c.Request)
	switch {
	case errors.Is(err, elastic.ErrUnauthenticated):
		cancel()
		s.askToSignIn(r)
		return nil, false
	case err != nil:
		s.fail(r, fmt.Errorf("find out who reads: %w", err))
		cancel()
		return nil, false
	}
	httpserver.SetUser(c, r.Reader.User)
	r.Elasticsearch = s.cfg.Elasticsearch.As(r.Reader.Authorization)
	if r.Span, err = parseSpan(c.Request.URL.Query(), r.Zone, r.Now); err == nil && !need(r.Reader.Rights) {
		err = fault.New(fault.Forbidden, "Your role may not see this page.")
	}
	if err != nil {
		s.fail(r, err)
		cancel()
		return nil, false
	}
	return r, true
}

func wantsJSON(c *gin.Context) bool {
	if strings.HasSuffix(c.Request.URL.Path, ".json") {
		return true
	}
	accept := c.GetHeader("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// fail answers with an error as the reader can read it.
func (s *Site) fail(r *Request, err error) {
	if ended(err) {
		s.askToSignIn(r)
		return
	}
	var refused *elastic.Error
	var moved Elsewhere
	if errors.As(err, &moved) {
		r.Redirect(http.StatusSeeOther, string(moved))
		r.Abort()
		return
	}
	status := http.StatusServiceUnavailable
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		status = known.Status()
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden:
		err = fault.New(fault.Forbidden, "Your role may not read this.")
		status = http.StatusForbidden
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w: %w", fault.New(fault.Timeout, "Elasticsearch did not answer in time. A shorter time range asks less of it."), err)
		status = http.StatusGatewayTimeout
	default:
		err = fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "Elasticsearch does not answer as it should. The console's log says more."), err)
	}
	if r.json || r.Writer.Written() {
		httpserver.Problem(r.Context, err)
		return
	}
	httpserver.LogFault(r.Context, err)
	f := fault.From(err)
	httpserver.SetProblemHeaders(r.Context, f)
	s.render(r, status, s.problem, f.Title(), f)
}

func (s *Site) askToSignIn(r *Request) {
	if r.json {
		r.Header("WWW-Authenticate", `Basic realm="Pharos console", charset="UTF-8"`)
		httpserver.Problem(r.Context, fault.New(fault.Unauthenticated, "Sign in, or send an Authorization header of an Elasticsearch account."))
		return
	}
	// Back to where the reader was: the page, or the one that its form stood on.
	next := ""
	if from, err := url.Parse(r.Request.Referer()); r.Request.Method == http.MethodGet {
		next = r.Request.URL.RequestURI()
	} else if err == nil && from.Host == r.Request.Host {
		next = from.RequestURI()
	}
	target, _ := link("/sign-in", url.Values{}, []string{"next", next})
	r.Redirect(http.StatusSeeOther, target)
	r.Abort()
}

// frame is what the layout's templates see; the page's own see it as $.
type frame struct {
	*Request
	Title       string
	Page        string
	Menu        []Section
	Environment string
	Region      string
	View        any
}

// render answers with a page. It is made in memory first, so that one that fails
// becomes a problem and not half a page.
func (s *Site) render(r *Request, status int, t *template.Template, title string, view any) {
	f := frame{Request: r, Title: title, Page: r.page, Environment: s.cfg.Environment, Region: s.cfg.Region, View: view}
	for _, section := range s.menu {
		visible := Section{Title: section.Title}
		for _, l := range section.Links {
			if r.Reader.User != "" && l.need(r.Reader.Rights) {
				visible.Links = append(visible.Links, l)
			}
		}
		if len(visible.Links) > 0 {
			f.Menu = append(f.Menu, visible)
		}
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout", f); err != nil {
		httpserver.Problem(r.Context, fmt.Errorf("render page %s: %w", r.page, err))
		return
	}
	look.SetHeaders(r.Writer.Header())
	r.Header("Cache-Control", "private, no-store")
	r.Data(status, "text/html; charset=utf-8", body.Bytes())
	r.Abort()
}
