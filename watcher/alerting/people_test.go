package alerting_test

import (
	"testing"

	"pharos/internal/fault"
	"pharos/watcher/alert"
)

func TestPeopleResolveAndTakeBack(t *testing.T) {
	w := newWorld(t)
	w.met("down", `{"resolve":true,"service":"api"}`, `{}`)
	id := alert.NewID("down", "")
	if _, err := w.service.Unacknowledge(t.Context(), id, "ada"); !fault.Is(err, fault.Conflict) {
		t.Errorf("taken back before it was given: %v", err)
	}
	if _, err := w.service.Acknowledge(t.Context(), id, "ada"); err != nil {
		t.Fatal(err)
	}
	if a, err := w.service.Unacknowledge(t.Context(), id, "ada"); err != nil || a.State != alert.Firing {
		t.Errorf("%+v, %v", a, err)
	}
	if !w.pagerduty.Incident("down").Open {
		t.Fatal("PagerDuty has no open incident")
	}
	a, err := w.service.Resolve(t.Context(), id, "ada")
	if err != nil || a.State != alert.Resolved || a.ResolvedBy != "ada" || w.pagerduty.Incident("down").Open {
		t.Errorf("%+v, %v, %+v", a, err, w.pagerduty.Incident("down"))
	}
	if _, err := w.service.Resolve(t.Context(), id, "ada"); !fault.Is(err, fault.Conflict) {
		t.Errorf("resolved twice: %v", err)
	}
	if _, err := w.service.Resolve(t.Context(), "none", "ada"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
