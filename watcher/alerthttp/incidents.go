package alerthttp

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"pharos/incident"
	"pharos/internal/fault"
)

func (a *api) listIncidents(c *gin.Context, by Caller) (int, any, error) {
	f := incident.Filter{State: incident.State(c.Query("state")), After: c.Query("after")}
	if f.State != "" && f.State != incident.Open && f.State != incident.Closed {
		return 0, nil, fault.Field(fault.InvalidParameter, "state", "It must be open or closed.")
	}
	limit, err := limitOf(c)
	if err != nil {
		return 0, nil, err
	}
	f.Limit = limit + 1
	stored, err := a.Incidents.Store.Incidents(c.Request.Context(), f)
	incidents := make([]incident.Incident, 0, len(stored))
	for _, s := range stored {
		incidents = append(incidents, s.Incident)
	}
	return paged(incidents, limit, func(i incident.Incident) string { return i.ID }, err)
}

func (a *api) getIncident(c *gin.Context, _ Caller) (int, any, error) {
	stored, err := a.Incidents.Store.Incident(c.Request.Context(), c.Param("id"))
	return http.StatusOK, stored.Incident, err
}

func (a *api) declare(c *gin.Context, by Caller) (int, any, error) {
	var words incident.Words
	if err := decode(c, &words); err != nil {
		return 0, nil, err
	}
	i, err := a.Incidents.Declare(c.Request.Context(), by.User, words)
	return http.StatusCreated, i, err
}

type textBody struct {
	Text string `json:"text"`
}

func (a *api) note(c *gin.Context, by Caller) (int, any, error) {
	var body textBody
	if err := decode(c, &body); err != nil {
		return 0, nil, err
	}
	i, err := a.Incidents.Note(c.Request.Context(), c.Param("id"), by.User, body.Text)
	return http.StatusCreated, i, err
}

func (a *api) update(c *gin.Context, by Caller) (int, any, error) {
	var words incident.Words
	if err := decode(c, &words); err != nil {
		return 0, nil, err
	}
	i, err := a.Incidents.Update(c.Request.Context(), c.Param("id"), by.User, words)
	return http.StatusCreated, i, err
}

// close may come without a body.
func (a *api) close(c *gin.Context, by Caller) (int, any, error) {
	var body textBody
	if c.Request.ContentLength != 0 {
		if err := decode(c, &body); err != nil {
			return 0, nil, err
		}
	}
	i, err := a.Incidents.Close(c.Request.Context(), c.Param("id"), by.User, body.Text)
	return http.StatusOK, i, err
}

func (a *api) listChanges(c *gin.Context, _ Caller) (int, any, error) {
	from, to, err := window(c)
	if err != nil {
		return 0, nil, err
	}
	limit, err := limitOf(c)
	if err != nil {
		return 0, nil, err
	}
	changes, err := a.Incidents.Store.Changes(c.Request.Context(), from, to, limit)
	return list(slices.Clone(changes), err)
}

type changeBody struct {
	Kind    incident.ChangeKind `json:"kind"`
	Service string              `json:"service"`
	Version string              `json:"version"`
	Text    string              `json:"text"`
	At      string              `json:"at"` // now if left out
}

func (a *api) addChange(c *gin.Context, by Caller) (int, any, error) {
	var body changeBody
	if err := decode(c, &body); err != nil {
		return 0, nil, err
	}
	at, err := timeOf("at", body.At)
	if err != nil {
		return 0, nil, err
	}
	change, err := a.Incidents.Record(c.Request.Context(), by.User, incident.Change{
		Kind: body.Kind, Service: body.Service, Version: body.Version, Text: body.Text, At: at,
	})
	return http.StatusCreated, change, err
}
