package alerthttp

import (
	"context"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
)

func (a *api) listAlerts(c *gin.Context, _ Caller) (int, any, error) {
	f := alerting.Filter{WatchID: c.Query("watch"), Service: c.Query("service")}
	switch state := c.Query("state"); state {
	case "":
	case "open":
		f.Open = true
	case string(alert.Firing), string(alert.Acknowledged), string(alert.Resolved):
		f.State = alert.State(state)
	default:
		return 0, nil, fault.Field(fault.InvalidParameter, "state", "It must be firing, acknowledged, resolved or open.")
	}
	var err error
	if f.From, f.To, err = window(c); err != nil {
		return 0, nil, err
	}
	if f.Limit, err = limitOf(c); err != nil {
		return 0, nil, err
	}
	stored, err := a.Alerts.Store.Alerts(c.Request.Context(), f)
	alerts := make([]alert.Alert, 0, len(stored))
	for _, s := range stored {
		alerts = append(alerts, s.Alert)
	}
	return list(alerts, err)
}

func (a *api) getAlert(c *gin.Context, _ Caller) (int, any, error) {
	stored, err := a.Alerts.Store.Alert(c.Request.Context(), c.Param("id"))
	return http.StatusOK, stored.Alert, err
}

// say is a call by which a person says something about an alert.
func (a *api) say(do func(ctx context.Context, id, by string) (alert.Alert, error)) handler {
	return func(c *gin.Context, by Caller) (int, any, error) {
		after, err := do(c.Request.Context(), c.Param("id"), by.User)
		return http.StatusOK, after, err
	}
}

func (a *api) listSilences(c *gin.Context, by Caller) (int, any, error) {
	limit, err := limitOf(c)
	if err != nil {
		return 0, nil, err
	}
	switch c.Query("state") {
	case "":
	case "ended":
		ended, err := a.Alerts.Store.EndedSilences(c.Request.Context(), alerting.EndedFilter{
			Before: a.Now(), Maintenance: !by.May[ReadAlerts], After: c.Query("after"), Limit: limit + 1,
		})
		return paged(ended, limit, func(s alert.Silence) string { return s.ID }, err)
	default:
		return 0, nil, fault.Field(fault.InvalidParameter, "state", "It must be ended, or left out for those that are not.")
	}
	silences, err := a.Alerts.Store.Silences(c.Request.Context(), a.Now())
	if !by.May[ReadAlerts] {
		silences = slices.DeleteFunc(silences, func(s alert.Silence) bool { return !s.Maintenance })
	}
	return list(silences, err)
}

type silenceBody struct {
	Matchers    alert.Matchers `json:"matchers"`
	StartsAt    string         `json:"starts_at"` // now if left out
	EndsAt      string         `json:"ends_at"`
	Comment     string         `json:"comment"`
	Maintenance bool           `json:"maintenance"`
	Title       string         `json:"title"`
	Components  []string       `json:"components"`
}

// What people write about a silence, in characters.
const (
	mostComment    = 2000
	mostName       = 200
	mostComponents = 50
)

func (b silenceBody) silence() (alert.Silence, error) {
	s := alert.Silence{Maintenance: b.Maintenance, Matchers: b.Matchers, Comment: b.Comment, Title: b.Title, Components: b.Components}
	var err error
	if s.StartsAt, err = timeOf("starts_at", b.StartsAt); err != nil {
		return s, err
	}
	if s.EndsAt, err = timeOf("ends_at", b.EndsAt); err != nil {
		return s, err
	}
	switch {
	case s.EndsAt.IsZero():
		return s, fault.Field(fault.InvalidParameter, "ends_at", "Say when it ends.")
	case b.Maintenance && b.Title == "":
		return s, fault.Field(fault.InvalidParameter, "title", "A maintenance window is announced: give it a title.")
	case len(b.Components) > mostComponents:
		return s, fault.Field(fault.InvalidParameter, "components", "At most %d components can be named.", mostComponents)
	}
	short := map[string]string{
		"title": b.Title, "matchers.watch_id": b.Matchers.WatchID, "matchers.service": b.Matchers.Service, "matchers.group": b.Matchers.Group,
	}
	for _, c := range b.Components {
		if c == "" || utf8.RuneCountInString(c) > mostName {
			return s, fault.Field(fault.InvalidParameter, "components", "A component's name has 1 to %d characters.", mostName)
		}
	}
	for field, text := range short {
		if utf8.RuneCountInString(text) > mostName {
			return s, fault.Field(fault.InvalidParameter, field, "It may have at most %d characters.", mostName)
		}
	}
	if utf8.RuneCountInString(b.Comment) > mostComment {
		return s, fault.Field(fault.InvalidParameter, "comment", "It may have at most %d characters.", mostComment)
	}
	return s, nil
}

func (a *api) addSilence(c *gin.Context, by Caller) (int, any, error) {
	var body silenceBody
	if err := decode(c, &body); err != nil {
		return 0, nil, err
	}
	s, err := body.silence()
	if err != nil {
		return 0, nil, err
	}
	s.ID, s.CreatedBy, s.CreatedAt = a.NewID(), by.User, a.Now().UTC()
	if s.StartsAt.IsZero() {
		s.StartsAt = s.CreatedAt
	}
	return http.StatusCreated, s, a.Alerts.Silence(c.Request.Context(), s)
}

func (a *api) endSilence(c *gin.Context, _ Caller) (int, any, error) {
	return http.StatusNoContent, nil, a.Alerts.Store.EndSilence(c.Request.Context(), c.Param("id"), a.Now().UTC())
}
