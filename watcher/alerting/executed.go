package alerting

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/outbox"
)

// Executed takes in what an execution came to, after its actions: where the
// condition is clear, or a group's value is gone, alerts end and their pages are
// resolved. It is called for executions that count (those by the schedule, and
// those that are recorded), never for simulated ones.
func (s *Service) Executed(ctx context.Context, w *watcher.Watch, r watcher.Record) error {
	seen := s.told(r.ID)
	policy, err := alert.ParsePolicy(w.Metadata)
	if policy == nil || err != nil {
		return err
	}
	clear := false
	switch r.State {
	case watcher.NotNeeded:
		clear = true
	case watcher.Executed, watcher.Throttled, watcher.Acknowledged:
	default:
		return nil // a failed execution says nothing about the condition
	}
	open, err := s.mayBeOpen(ctx, w.ID)
	if err != nil || !open {
		return err
	}
	alerts, err := s.Store.Alerts(ctx, Filter{WatchID: w.ID, Open: true})
	if err != nil {
		return fmt.Errorf("read open alerts of watch %s: %w", w.ID, err)
	}
	var errs []error
	for _, a := range alerts {
		switch {
		case clear || len(seen) > 0 && !seen[a.ID]:
			errs = append(errs, s.clear(ctx, a.ID, *policy))
		case len(seen) == 0 && policy.GroupBy == "": // which groups are back, throttled actions don't say
			errs = append(errs, s.change(ctx, a.ID, func(a alert.Alert) (alert.Alert, error) {
				a, _ = a.Return()
				return a, nil
			}))
		}
	}
	return errors.Join(errs...)
}

// rememberFor is how long the list of watches with open alerts is believed.
// What another process changed is late by at most as much.
const rememberFor = 5 * time.Second

// mayBeOpen spares the store a question for each execution of each healthy
// watch.
func (s *Service) mayBeOpen(ctx context.Context, watchID string) (bool, error) {
	s.mu.Lock()
	now := s.Now()
	if s.open != nil && now.Sub(s.loadedAt) < rememberFor {
		defer s.mu.Unlock()
		return s.open[watchID], nil
	}
	s.mu.Unlock()
	alerts, err := s.Store.Alerts(ctx, Filter{Open: true, Limit: 10000})
	if err != nil {
		return false, fmt.Errorf("read open alerts: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.loadedAt = map[string]bool{}, now
	for _, a := range alerts {
		s.open[a.WatchID] = true
	}
	return s.open[watchID], nil
}

func (s *Service) clear(ctx context.Context, id string, policy alert.Policy) error {
	var after alert.Alert
	var reason alert.Reason
	err := s.change(ctx, id, func(before alert.Alert) (alert.Alert, error) {
		after, reason = before.Clear(policy, s.Now())
		return after, nil
	})
	if err != nil {
		return fmt.Errorf("clear alert %s: %w", id, err)
	}
	if ended := reason == alert.Ended || reason == alert.EndedQuietly; !ended || after.Page == "" {
		return nil
	}
	return s.endPage(ctx, after, policy, reason == alert.Ended)
}

// endPage resolves the page that an ended alert has or shares, if no other alert
// shares it any more.
func (s *Service) endPage(ctx context.Context, ended alert.Alert, policy alert.Policy, tell bool) error {
	sharing, err := s.Store.Alerts(ctx, Filter{Page: ended.Page, Open: true})
	if err != nil {
		return fmt.Errorf("read alerts of a page: %w", err)
	}
	if len(sharing) > 0 {
		return nil
	}
	lead := ended
	if ended.Page != ended.ID {
		stored, err := s.Store.Alert(ctx, ended.Page)
		if err != nil {
			return fmt.Errorf("read the alert of a page: %w", err)
		}
		lead = stored.Alert
	}
	if err := s.closeLead(ctx, lead); err != nil {
		return err
	}
	if !tell {
		return nil
	}
	var errs []error
	for _, route := range lead.Routes {
		channel, ok := s.Channels[route.Channel]
		if !ok {
			continue
		}
		links := s.Config.links(lead.WatchID, &policy, lead.StartedAt, s.Now())
		body, err := channel.Resolution(lead, route, links)
		if err != nil || body == nil {
			errs = append(errs, err)
			continue
		}
		_, err = s.Outbox.Deliver(ctx, outbox.Message{
			ID: messageID(lead, route, "resolve"), Key: route.Channel + "/" + route.Account + "/" + route.To + "/" + route.Key, Kind: "resolve",
			Channel: route.Channel, Account: route.Account, WatchID: lead.WatchID, ActionID: route.ActionID,
			Body: body, CreatedAt: s.Now(),
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Service) closeLead(ctx context.Context, lead alert.Alert) error {
	if lead.Service == "" {
		return nil
	}
	l, revision, err := s.Store.Lead(ctx, lead.Service)
	if err != nil {
		return fmt.Errorf("read the latest page of service %s: %w", lead.Service, err)
	}
	if l.AlertID != lead.ID || l.Closed {
		return nil
	}
	l.Closed = true
	// A conflict means that a newer page took its place.
	_ = s.Store.SaveLead(ctx, l, revision)
	return nil
}
