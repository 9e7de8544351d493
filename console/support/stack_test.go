package support

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"pharos/console/pagetest"
)

// Lines as api and this page write them.
func TestOnTheStack(t *testing.T) {
	es, span, user := pagetest.Stack(t), pagetest.Quiet(), uuid.NewString()
	request := func(minute, status int, service string) string {
		return fmt.Sprintf(`{"@timestamp":"{%d}","service":{"name":%q},"user":{"id":%q},"trace":{"id":"t%d"},"http":{"route":"/v1/feed","request":{"method":"GET","id":"r%d"},"response":{"status_code":%d}},"event":{"duration":1500000},"error":{"message":"not-found"}}`,
			minute, service, user, minute, minute, status)
	}
	pagetest.Index(t, es, logStream, span,
		request(1, 404, "api"), request(2, 200, "api"), request(3, 500, "api"), request(4, 500, "feed"),
		fmt.Sprintf(`{"@timestamp":"{5}","service":{"name":"console"},"event":{"action":"user-suspended","reason":"spam"},"user":{"id":"oncall"},"labels":{"target_user_id":%q}}`, user),
	)
	f, err := failures(t.Context(), es, span, user)
	if err != nil {
		t.Fatal(err)
	}
	if f.Total != 2 || f.Lines[0].Status != 500 || f.Lines[1].RequestID != "r1" || f.Lines[1].TraceID != "t1" || f.Lines[1].Seconds != 0.0015 {
		t.Errorf("%+v", f)
	}
	c, err := changes(t.Context(), es, user)
	if err != nil {
		t.Fatal(err)
	}
	if len(c) != 1 || c[0].By != "oncall" || c[0].Reason != "spam" || c[0].Action != suspended {
		t.Errorf("%+v", c)
	}
}
