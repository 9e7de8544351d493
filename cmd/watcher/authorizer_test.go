package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/watcher/alerthttp"
	"pharos/watcher/watcherhttp"
)

func TestAuthorize(t *testing.T) {
	now := time.Now()
	asked := 0
	a := newAuthorizer(nil, func() time.Time { return now })
	a.ask = func(_ context.Context, authorization string, _ elastic.Privileges) (elastic.Rights, error) {
		asked++
		r := elastic.Rights{User: authorization, Cluster: map[string]bool{}}
		switch authorization {
		case "admin":
			r.Cluster["manage_watcher"] = true
		case "oncall":
			r.Cluster["monitor_watcher"] = true
			r.Application = map[string]map[string]map[string]bool{"pharos": {"*": {"watch:operate": true}}}
		case "viewer":
		default:
			return r, elastic.ErrUnauthenticated
		}
		return r, nil
	}
	may := map[string]string{"admin": "mon op man", "oncall": "mon op", "viewer": ""}
	names := map[string]watcherhttp.Privilege{"mon": watcherhttp.Monitor, "op": watcherhttp.Operate, "man": watcherhttp.Manage}
	for user, list := range may {
		for name, need := range names {
			got, err := a.Authorize(t.Context(), user, need)
			wanted := slices.Contains(strings.Fields(list), name)
			switch {
			case wanted && (err != nil || got != user):
				t.Errorf("%s %s: %q %v", user, need, got, err)
			case !wanted && !fault.Is(err, fault.Forbidden):
				t.Errorf("%s %s: %v", user, need, err)
			}
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times about three", asked)
	}
	for _, nobody := range []string{"", "somebody"} {
		if _, err := a.Authorize(t.Context(), nobody, watcherhttp.Monitor); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", nobody, err)
		}
	}
	now = now.Add(believe)
	asked = 0
	if _, err := a.Authorize(t.Context(), "admin", watcherhttp.Manage); err != nil || asked != 1 {
		t.Errorf("later: asked %d, %v", asked, err)
	}
}

func TestAuthorizePeople(t *testing.T) {
	a := newAuthorizer(nil, time.Now)
	a.ask = func(_ context.Context, authorization string, question elastic.Privileges) (elastic.Rights, error) {
		r := elastic.Rights{User: "ada", Cluster: map[string]bool{}}
		has := map[string]bool{}
		for _, p := range question.Application[0].Privileges {
			has[p] = p == authorization
		}
		for _, p := range question.Cluster {
			r.Cluster[p] = p == authorization
		}
		r.Application = map[string]map[string]map[string]bool{"pharos": {"*": has}}
		return r, nil
	}
	all := []alerthttp.Privilege{alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts, alerthttp.ReadWatches, alerthttp.Operate}
	for right, may := range map[string][]alerthttp.Privilege{
		"none":            {alerthttp.SignedIn},
		"incident:read":   {alerthttp.SignedIn, alerthttp.ReadIncidents},
		"alert:read":      {alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts},
		"monitor_watcher": {alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts, alerthttp.ReadWatches},
		"watch:operate":   {alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts, alerthttp.ReadWatches, alerthttp.Operate},
		"manage_watcher":  all,
	} {
		for _, need := range all {
			caller, err := people{a}.Authorize(t.Context(), right, need)
			switch {
			case slices.Contains(may, need) && (err != nil || caller.User != "ada" || !caller.May[need]):
				t.Errorf("%s, %s: %+v %v", right, need, caller, err)
			case !slices.Contains(may, need) && !fault.Is(err, fault.Forbidden):
				t.Errorf("%s, %s: %+v %v", right, need, caller, err)
			}
		}
	}
}
