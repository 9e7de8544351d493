package alerting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/alert"
	"pharos/watcher/outbox"
)

// Word is what somebody says about an alert.
type Word string

// What people say.
const (
	Ack   Word = "acknowledged"
	Unack Word = "unacknowledged"
	Done  Word = "resolved"
)

// Acknowledge takes in that somebody is on an alert, tells its channels and the
// watch. fault.NotFound if there is no such alert, fault.Conflict if it is not
// firing.
func (s *Service) Acknowledge(ctx context.Context, id, by string) (alert.Alert, error) {
	a, err := s.sayHere(ctx, id, Ack, by)
	if err != nil {
		return a, err
	}
	errs := []error{s.ackWatch(ctx, a)}
	for _, route := range a.Routes {
		channel, ok := s.Channels[route.Channel]
		if !ok {
			continue
		}
		body, err := channel.Acknowledgement(a, route)
		if err != nil || body == nil {
			errs = append(errs, err)
			continue
		}
		_, err = s.Outbox.Deliver(ctx, outbox.Message{
			ID: messageID(a, route, "acknowledge"), Key: route.Channel + "/" + route.Account + "/" + route.To + "/" + route.Key, Kind: "acknowledge",
			Channel: route.Channel, Account: route.Account, WatchID: a.WatchID, ActionID: route.ActionID, Body: body, CreatedAt: s.Now(),
		})
		errs = append(errs, err)
	}
	return a, errors.Join(errs...)
}

// Unacknowledge takes an acknowledgement back. PagerDuty is not told: it has no
// event for it. fault.NotFound if there is no such alert, fault.Conflict if it is
// not acknowledged.
func (s *Service) Unacknowledge(ctx context.Context, id, by string) (alert.Alert, error) {
	return s.sayHere(ctx, id, Unack, by)
}

// Resolve ends an alert by hand, and its page if no other alert shares it. It
// begins anew if the condition is still met at the next execution.
// fault.NotFound if there is no such alert, fault.Conflict if it has ended.
func (s *Service) Resolve(ctx context.Context, id, by string) (alert.Alert, error) {
	a, err := s.sayHere(ctx, id, Done, by)
	if err != nil || a.Page == "" {
		return a, err
	}
	return a, s.endPage(ctx, a, alert.Policy{}, true)
}

func (s *Service) sayHere(ctx context.Context, id string, word Word, by string) (alert.Alert, error) {
	if _, err := s.Store.Alert(ctx, id); err != nil {
		return alert.Alert{}, err
	}
	a, changed, err := s.say(ctx, id, word, by, time.Time{})
	if err == nil && !changed {
		err = fault.New(fault.Conflict, "The alert is %s.", a.State)
	}
	return a, err
}

// Heard takes in what PagerDuty says of the incident with a dedup_key, and
// returns how many alerts that changed. What happened before the alert began, or
// before what was heard last, is a replay and changes nothing.
func (s *Service) Heard(ctx context.Context, key string, word Word, by string, at time.Time) (int, error) {
	leads, err := s.Store.Alerts(ctx, Filter{Key: key, Limit: 10})
	if err != nil {
		return 0, fmt.Errorf("find alerts of a key: %w", err)
	}
	var ids []string
	for _, lead := range leads {
		sharing, err := s.Store.Alerts(ctx, Filter{Page: lead.ID, Open: true})
		if err != nil {
			return 0, fmt.Errorf("find alerts of a page: %w", err)
		}
		for _, a := range sharing {
			if !slices.Contains(ids, a.ID) {
				ids = append(ids, a.ID)
			}
		}
	}
	n := 0
	var errs []error
	for _, id := range ids {
		a, changed, err := s.say(ctx, id, word, by, at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !changed {
			continue
		}
		n++
		switch word {
		case Ack:
			errs = append(errs, s.ackWatch(ctx, a))
		case Done:
			if a.ID == a.Page {
				errs = append(errs, s.closeLead(ctx, a))
			}
		}
	}
	return n, errors.Join(errs...)
}

// say changes an alert by a word. at is when PagerDuty says that it happened,
// zero for what happens here and now.
func (s *Service) say(ctx context.Context, id string, word Word, by string, at time.Time) (after alert.Alert, changed bool, err error) {
	err = s.change(ctx, id, func(a alert.Alert) (alert.Alert, error) {
		changed, after = false, a
		if !at.IsZero() {
			// PagerDuty's times are whole seconds.
			if at.Before(a.StartedAt.Truncate(time.Second)) || at.Before(a.HeardAt) {
				return a, nil
			}
		}
		switch word {
		case Ack:
			after, changed = a.Acknowledge(by, s.Now())
		case Unack:
			after, changed = a.Unacknowledge()
		case Done:
			after, changed = a.End(by, s.Now())
		}
		if !at.IsZero() {
			after.HeardAt = at
		}
		return after, nil
	})
	if err != nil {
		return after, false, fmt.Errorf("alert %s: %w", id, err)
	}
	return after, changed, nil
}

func (s *Service) ackWatch(ctx context.Context, a alert.Alert) error {
	if s.AckWatch == nil || a.Group != "" { // a watch's actions know no groups
		return nil
	}
	var ids []string
	for _, r := range a.Routes {
		if !slices.Contains(ids, r.ActionID) {
			ids = append(ids, r.ActionID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := s.AckWatch(ctx, a.WatchID, ids); err != nil {
		return fmt.Errorf("acknowledge watch %s: %w", a.WatchID, err)
	}
	return nil
}

// Silence keeps alerts quiet from one time to another. Bad input is a fault that
// names the field.
func (s *Service) Silence(ctx context.Context, silence alert.Silence) error {
	switch {
	case silence.ID == "":
		return fault.Field(fault.InvalidParameter, "id", "A silence needs an id.")
	case !silence.EndsAt.After(silence.StartsAt):
		return fault.Field(fault.InvalidParameter, "ends_at", "A silence must end after it starts.")
	case !silence.EndsAt.After(s.Now()):
		return fault.Field(fault.InvalidParameter, "ends_at", "The silence is over already.")
	case silence.CreatedBy == "":
		return fault.Field(fault.InvalidParameter, "created_by", "Say who asks for it.")
	case !silence.Maintenance && silence.Matchers == (alert.Matchers{}):
		return fault.Field(fault.InvalidParameter, "matchers", "A silence must name a watch, service, group or severity; only a maintenance may cover everything.")
	case silence.Matchers.Severity != "" && !silence.Matchers.Severity.Known():
		return fault.Field(fault.InvalidParameter, "matchers.severity", "A severity is critical, error, warning or info.")
	case !silence.Maintenance && (silence.Title != "" || len(silence.Components) > 0):
		return fault.Field(fault.InvalidParameter, "maintenance", "Only a maintenance window is announced, by its title and components.")
	}
	silence.CreatedAt = s.Now()
	return s.Store.SaveSilence(ctx, silence)
}
