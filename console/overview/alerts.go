package overview

import (
	"context"
	"net/http"
	"time"

	"pharos/console/page"
)

// Alert is one that is open.
type Alert struct {
	ID       string    `json:"id"`
	WatchID  string    `json:"watch_id"`
	Service  string    `json:"service"`
	Summary  string    `json:"summary"`
	Severity string    `json:"severity"`
	State    string    `json:"state"`
	Since    time.Time `json:"started_at"`
}

func (o Overview) alerts(ctx context.Context, r *page.Request) ([]Alert, error) {
	var answer struct {
		Items []Alert `json:"items"`
	}
	err := o.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, "/v1/alerts?state=open&limit=20", nil, &answer)
	return answer.Items, err
}
