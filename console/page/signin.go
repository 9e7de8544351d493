package page

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// signInView is what the sign-in page shows.
type signInView struct {
	Next string
	User string
	Said string // why the last attempt failed
}

func (s *Site) signInPage(c *gin.Context) {
	r := &Request{Context: c, site: s, Now: s.cfg.Now(), Zone: time.UTC, page: "sign-in"}
	s.render(r, http.StatusOK, s.signin, "Sign in", signInView{Next: local(c.Query("next"))})
}

func (s *Site) signIn(c *gin.Context) {
	r := &Request{Context: c, site: s, Now: s.cfg.Now(), Zone: time.UTC, page: "sign-in", json: wantsJSON(c)}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 16<<10)
	if err := s.protect.Check(c.Request); err != nil {
		s.fail(r, fault.New(fault.Forbidden, "The form comes from another site."))
		return
	}
	view := signInView{Next: local(c.PostForm("next")), User: c.PostForm("user")}
	cookie, err := s.cfg.Sessions.SignIn(c.Request.Context(), view.User, c.PostForm("password"), c.ClientIP())
	switch {
	case fault.Is(err, fault.InvalidCredentials), fault.Is(err, fault.TooManyRequests):
		f := fault.From(err)
		httpserver.LogFault(c, err)
		httpserver.SetProblemHeaders(c, f)
		view.Said = f.Detail
		s.render(r, f.Status(), s.signin, "Sign in", view)
	case err != nil:
		s.fail(r, err)
	default:
		http.SetCookie(c.Writer, cookie)
		c.Redirect(http.StatusSeeOther, view.Next)
	}
}

func (s *Site) signOut(c *gin.Context) {
	r := &Request{Context: c, site: s, Now: s.cfg.Now(), Zone: time.UTC}
	reader, err := s.cfg.Sessions.Read(c.Request)
	if err == nil && s.protect.Check(c.Request) != nil {
		s.fail(r, fault.New(fault.Forbidden, "The form comes from another site."))
		return
	}
	keyID, ended := s.cfg.Sessions.SignOut(c.Request)
	if keyID != "" {
		// The cookie ends here in any case; the key ends by itself later.
		if err := s.cfg.Elasticsearch.As(reader.Authorization).Revoke(c.Request.Context(), keyID); err != nil {
			httpserver.LogFault(c, err)
		}
	}
	http.SetCookie(c.Writer, ended)
	c.Redirect(http.StatusSeeOther, "/sign-in")
}

// local is an address of this site, "/" for any other: nobody is sent elsewhere
// after signing in.
func local(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(target, "/") ||
		strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") {
		return "/"
	}
	return target
}
