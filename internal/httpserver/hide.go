package httpserver

import (
	"net/url"
	"regexp"

	"github.com/gin-gonic/gin"
)

// secretParam is the beginning of a query's first parameter whose name tells of a
// secret: the same names as in nginx.conf.template, which keeps them out of its
// log.
var secretParam = regexp.MustCompile(`(?i)(^|[&;])([^&;=]*(?:token|secret|passwo?r?d|api[_-]?key|credential|signature|jwt)[^&;=]*|auth(?:orization)?|pwd|session(?:_?id)?)=`)

// hideSecrets keeps what a client puts into a query by mistake out of traces: the
// agent, around this, reads the request after it was answered. As in nginx's log,
// all that follows such a name is hidden.
func hideSecrets(c *gin.Context) {
	c.Next()
	if hidden, ok := withoutSecrets(c.Request.URL); ok {
		shown := *c.Request
		shown.URL = hidden
		shown.RequestURI = hidden.RequestURI()
		c.Request = &shown
	}
}

// withoutSecrets is false if there is nothing to hide.
func withoutSecrets(u *url.URL) (*url.URL, bool) {
	at := secretParam.FindStringIndex(u.RawQuery)
	if at == nil {
		return nil, false
	}
	hidden := *u
	hidden.RawQuery = u.RawQuery[:at[1]] + "***"
	return &hidden, true
}
