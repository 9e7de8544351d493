package security

import (
	"fmt"
	"testing"
	"time"

	"pharos/console/pagetest"
)

// Lines as nginx and api write them.
func TestOnTheStack(t *testing.T) {
	es, span := pagetest.Stack(t), pagetest.Quiet()
	request := func(path, route string, status int, address, agent string) string {
		return fmt.Sprintf(`{"@timestamp":"{1}","labels":{"probe":false},"url":{"path":%q},"http":{"route":%q,"response":{"status_code":%d}},"client":{"ip":%q},"user_agent":{"original":%q}}`, path, route, status, address, agent)
	}
	lines := []string{
		request("/v1/feed", "/v1/feed", 401, "192.0.2.1", "curl"),
		request("/v1/feed", "/v1/feed", 429, "192.0.2.2", "curl"),
		request("/v1/feed", "/v1/feed", 200, "192.0.2.2", "sqlmap/1.8"),
		request("/WP-Login.php", "other", 404, "192.0.2.3", "-"),
		request("/.env", "other", 200, "192.0.2.3", "Nikto"),
		`{"@timestamp":"{1}","labels":{"probe":true},"url":{"path":"/healthz"},"http":{"route":"/healthz","response":{"status_code":401}},"client":{"ip":"192.0.2.9"}}`,
	}
	for i := range manyPaths {
		lines = append(lines, request(fmt.Sprintf("/x%d", i), "other", 404, "192.0.2.4", "curl"))
	}
	pagetest.Index(t, es, trafficStream, span, lines...)
	failed := func(action, address, handle string) string {
		return fmt.Sprintf(`{"@timestamp":"{2}","service":{"name":"api"},"event":{"action":%q},"client":{"ip":%q},"user":{"name":%q}}`, action, address, handle)
	}
	pagetest.Index(t, es, ownStream, span,
		failed("sign-in-failed", "192.0.2.5", "ada"), failed("sign-in-failed", "192.0.2.5", "bob"), failed("sign-in-slowed", "192.0.2.6", "ada"), failed("sign-in-failed", "192.0.2.5", "ada"),
		`{"@timestamp":"{2}","service":{"name":"console"},"http":{"route":"/sign-in","response":{"status_code":401}}}`,
	)
	q := queries{es, span}
	refused, err := q.refused(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if refused.Total != 2 || refused.Codes[0].Count != 1 || refused.Codes[2].Count != 1 || len(refused.Routes) != 1 || refused.Routes[0].Addresses != 2 {
		t.Errorf("%+v", refused)
	}
	signIns, err := q.signIns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if signIns.Failed != 3 || signIns.Slowed != 1 || signIns.Console != 1 || signIns.Sources[0].Name != "192.0.2.5" || signIns.Sources[0].Others != 2 || signIns.Handles[0].Name != "ada" || signIns.Handles[0].Count != 3 {
		t.Errorf("%+v", signIns)
	}
	if first := signIns.Sources[0].First; !first.Equal(span.From.Add(2 * time.Minute)) {
		t.Errorf("first seen %s", first)
	}
	scanners, err := q.scanners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(scanners.Addresses) != 1 || scanners.Addresses[0].Address != "192.0.2.4" || scanners.Addresses[0].Paths != manyPaths {
		t.Errorf("%+v", scanners.Addresses)
	}
	paths := map[string]Pattern{}
	for _, p := range scanners.Paths {
		paths[p.Name] = p
	}
	if len(paths) != 3 || paths["WordPress"].Count != 1 || paths["PHP"].Count != 1 || paths["environment and keys"].Answered != 1 {
		t.Errorf("%+v", scanners.Paths)
	}
	agents, err := q.agents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(agents) != 3 || agents[0].Name != "nikto" || agents[1].Name != "no user agent" || agents[2].Name != "sqlmap" {
		t.Errorf("%+v", agents)
	}
	addresses, err := q.addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if addresses[0].Address != "192.0.2.4" || addresses[0].ErrorShare() != 1 || len(addresses) != 4 {
		t.Errorf("%+v", addresses)
	}
}
