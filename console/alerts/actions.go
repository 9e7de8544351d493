package alerts

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/internal/fault"
)

// addActions registers what people do with alerts, watches and silences.
func (a Alerts) addActions(site *page.Site) {
	operate := func(r session.Rights) bool { return r.Operate }
	for _, word := range []string{"ack", "unack", "resolve"} {
		site.Action("/alerts/:id/"+word, operate, func(r *page.Request) (string, error) {
			id := url.PathEscape(r.Param("id"))
			return "/alerts/" + id, a.change(r, http.MethodPost, "/v1/alerts/"+id+"/"+word, nil)
		})
	}
	for _, word := range []string{"activate", "deactivate", "ack"} {
		site.Action("/watches/:id/"+word, operate, func(r *page.Request) (string, error) {
			path := watchPath(r.Param("id")) + "/_" + word
			if action := r.PostForm("action"); word == "ack" && action != "" {
				path += "/" + url.PathEscape(action)
			}
			return "/watches/" + url.PathEscape(r.Param("id")), a.change(r, http.MethodPut, path, nil)
		})
	}
	site.Action("/silences", operate, a.silence)
	site.Action("/silences/:id/end", operate, func(r *page.Request) (string, error) {
		return "/alerts#silences", a.change(r, http.MethodDelete, "/v1/silences/"+url.PathEscape(r.Param("id")), nil)
	})
}

func (a Alerts) change(r *page.Request, method, path string, in any) error {
	return a.Watcher.Call(r.Ctx(), r.Reader.Authorization, method, path, in, nil)
}

// Length is how long a silence may be chosen to last.
type Length struct {
	Value string // of the form
	Text  string
	lasts time.Duration
}

func lengths() []Length {
	return []Length{
		{"30m", "30 min", 30 * time.Minute}, {"1h", "1 h", time.Hour}, {"2h", "2 h", 2 * time.Hour}, {"4h", "4 h", 4 * time.Hour},
		{"8h", "8 h", 8 * time.Hour}, {"24h", "24 h", 24 * time.Hour}, {"72h", "3 d", 72 * time.Hour}, {"168h", "7 d", 168 * time.Hour},
	}
}

// silence begins a silence or a maintenance window.
func (a Alerts) silence(r *page.Request) (string, error) {
	all := lengths()
	at := slices.IndexFunc(all, func(l Length) bool { return l.Value == r.PostForm("lasts") })
	if at < 0 {
		return "", fault.Field(fault.InvalidParameter, "lasts", "Choose how long it lasts.")
	}
	starts := r.Now
	if text := strings.TrimSpace(r.PostForm("starts")); text != "" {
		var err error
		if starts, err = time.ParseInLocation("2006-01-02T15:04", text, r.Zone); err != nil {
			return "", fault.Field(fault.InvalidParameter, "starts", "The start must be a time as in 2026-11-21T14:00, in %s.", r.ZoneName())
		}
	}
	form := func(name string) string { return strings.TrimSpace(r.PostForm(name)) }
	body := map[string]any{
		"matchers":    Matchers{WatchID: form("watch"), Service: form("service"), Group: form("group"), Severity: form("severity")},
		"starts_at":   stamp(starts), // whole seconds: it has begun when it is there
		"ends_at":     stamp(starts.Add(all[at].lasts)),
		"comment":     form("comment"),
		"maintenance": form("kind") == "maintenance",
	}
	if form("kind") == "maintenance" {
		body["title"] = form("title")
		if components := r.PostFormArray("components"); len(components) > 0 {
			body["components"] = components
		}
	}
	return "/alerts#silences", a.change(r, http.MethodPost, "/v1/silences", body)
}
