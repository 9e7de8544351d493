// Package pagerdutyhook receives PagerDuty's webhooks (version 3): what people do
// to an incident there comes back to the alert here.
// https://developer.pagerduty.com/docs/webhooks-overview
package pagerdutyhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/watcher/alerting"
)

// Config are the settings.
type Config struct {
	// Secrets sign the webhooks: one a subscription, and the former one while it
	// is being replaced. Without any, every request is refused.
	Secrets []env.Secret `env:"PAGERDUTY_WEBHOOK_SECRETS"`
}

// Alerts is told; alerting.Service is one.
type Alerts interface {
	Heard(ctx context.Context, key string, word alerting.Word, by string, at time.Time) (int, error)
}

// Handler receives webhooks at any path. What it answers is for PagerDuty alone,
// which sends again after 5xx and gives up after 4xx.
type Handler struct {
	Config Config
	Alerts Alerts
	// Report is told of what could not be taken in.
	Report func(ctx context.Context, err error)
}

const (
	maxBody         = 1 << 20
	signatureHeader = "X-PagerDuty-Signature"
)

// event is the part of a webhook that is read.
// https://developer.pagerduty.com/docs/webhooks-payload
type event struct {
	Event struct {
		ID         string    `json:"id"`
		Type       string    `json:"event_type"`
		OccurredAt time.Time `json:"occurred_at"`
		Agent      *struct {
			Summary string `json:"summary"`
		} `json:"agent"`
		Data struct {
			IncidentKey string `json:"incident_key"`
		} `json:"data"`
	} `json:"event"`
}

// ServeHTTP checks the signature and takes the event in: 202, also for events
// that say nothing about our alerts; 401 for a signature that is not right.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, fault.New(fault.MethodNotAllowed, "Webhooks are posted."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		answer(w, fault.New(fault.BodyTooLarge, "The webhook is larger than 1 MiB."))
		return
	case err != nil:
		answer(w, fault.New(fault.MalformedBody, "The body could not be read."))
		return
	case !h.signed(body, r.Header.Values(signatureHeader)):
		answer(w, fault.New(fault.Unauthenticated, "The signature is missing or not right."))
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		answer(w, fault.New(fault.MalformedBody, "The body is no PagerDuty event."))
		return
	}
	word, about := wordOf(e.Event.Type)
	if !about || e.Event.Data.IncidentKey == "" || e.Event.OccurredAt.IsZero() {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	by := "PagerDuty"
	if e.Event.Agent != nil && e.Event.Agent.Summary != "" {
		by = e.Event.Agent.Summary
	}
	if _, err := h.Alerts.Heard(r.Context(), e.Event.Data.IncidentKey, word, by, e.Event.OccurredAt); err != nil {
		h.Report(r.Context(), err)
		answer(w, fault.New(fault.Unavailable, "The event could not be taken in; send it again."))
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func wordOf(eventType string) (alerting.Word, bool) {
	switch eventType {
	case "incident.acknowledged":
		return alerting.Ack, true
	case "incident.unacknowledged", "incident.reopened":
		return alerting.Unack, true
	case "incident.resolved":
		return alerting.Done, true
	}
	return "", false
}

// signed reports whether one of the signatures was made with one of the
// secrets. All are compared, in constant time.
// https://developer.pagerduty.com/docs/verifying-webhook-signatures
func (h *Handler) signed(body []byte, headers []string) bool {
	const most = 16 // as many as a rotation could need
	found := 0
	for _, secret := range h.Config.Secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(body)
		want := []byte(hex.EncodeToString(mac.Sum(nil)))
		for i, signature := range strings.SplitN(strings.Join(headers, ","), ",", most) {
			value, ok := strings.CutPrefix(strings.TrimSpace(signature), "v1=")
			if ok && i < most && hmac.Equal([]byte(value), want) {
				found++
			}
		}
	}
	return found > 0
}

func answer(w http.ResponseWriter, f *fault.Error) {
	w.Header().Set("Content-Type", fault.ContentType)
	w.WriteHeader(f.Status())
	_ = json.NewEncoder(w).Encode(f.Problem("", ""))
}
