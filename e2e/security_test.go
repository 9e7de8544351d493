package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pharos/internal/fault"
	"pharos/internal/idempotency"
	"pharos/internal/teststack"
)

// TestOWASP does what the ten items of OWASP's API Security Top 10 (2023) warn
// of, https://owasp.org/API-Security/editions/2023/en/0x11-t10/. What another
// test does already is named at the item and not done again.
func TestOWASP(t *testing.T) {
	o := teststack.Config[attack](t)
	o.stack = open(t)
	o.client = newClient(o.stack)
	for _, item := range []struct {
		name string
		do   func(*attack, *testing.T)
	}{
		{"API1_object_level_authorization", (*attack).objects},
		{"API2_authentication", (*attack).authentication},
		{"API3_property_level_authorization", (*attack).properties},
		{"API4_resource_consumption", (*attack).resources},
		{"API5_function_level_authorization", (*attack).functions},
		{"API6_sensitive_business_flows", (*attack).flows},
		{"API7_server_side_request_forgery", (*attack).forgery},
		{"API8_security_misconfiguration", (*attack).misconfiguration},
		{"API9_inventory", (*attack).inventory},
		{"API10_unsafe_consumption_of_APIs", (*attack).consumption},
	} {
		t.Run(item.name, func(t *testing.T) { item.do(&o, t) })
	}
}

// attack has what somebody inside would know, to do the worst with it.
type attack struct {
	*stack
	*client

	JWTKey      string `env:"JWT_KEY,required"`
	WatcherPort int    `env:"WATCHER_PORT,required"`
	Support     string `env:"SUPPORT_PASSWORD,required"`
}

// refused asks for what must be refused, with this code.
func (o *attack) refused(t *testing.T, code fault.Code, method, path, body string, header ...string) answer {
	t.Helper()
	a := o.do(t, method, path, body, header...)
	var p fault.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || p.Fault().Code != code || a.status != p.Fault().Status() {
		t.Errorf("%s %s: %d %s, want %s", method, path, a.status, a.body, code)
	}
	return a
}

// objects: another's posts, jobs, keys and requests are as if there were none,
// whoever knows their ids. (Of a visitor's jobs: TestTaskPagesMakeJobs.)
func (o *attack) objects(t *testing.T) {
	owner, stranger := o.signUp(t, "owner"), o.signUp(t, "stranger")
	var post, job struct{ ID string }
	o.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"mine"}`, owner.auth()...).decode(t, &post)
	const task = `{"task":"factorial","arguments":{"n":150001}}`
	o.want(t, http.StatusAccepted, "POST", "/v1/jobs", task, owner.auth()...).decode(t, &job)
	var key apiKey
	o.want(t, http.StatusCreated, "POST", "/v1/api-keys", `{"name":"mine","scopes":["jobs:write","posts:write"]}`, owner.auth()...).decode(t, &key)
	var strangers apiKey
	o.want(t, http.StatusCreated, "POST", "/v1/api-keys", `{"name":"theirs","scopes":["jobs:write","posts:write"]}`, stranger.auth()...).decode(t, &strangers)

	byKey := []string{"X-Api-Key", strangers.Key}
	for _, header := range [][]string{stranger.auth(), byKey} {
		o.refused(t, fault.NotFound, "DELETE", "/v1/posts/"+post.ID, "", header...)
		o.refused(t, fault.NotFound, "GET", "/v1/jobs/"+job.ID, "", header...)
		o.refused(t, fault.NotFound, "GET", "/v1/jobs/"+job.ID+"/result", "", header...)
		o.refused(t, fault.NotFound, "DELETE", "/v1/jobs/"+job.ID, "", header...)
	}
	o.refused(t, fault.NotFound, "DELETE", "/v1/api-keys/"+key.ID, "", stranger.auth()...)
	if a := o.want(t, http.StatusOK, "GET", "/v1/api-keys", "", stranger.auth()...); strings.Contains(string(a.body), key.ID) {
		t.Errorf("another's keys are listed: %s", a.body)
	}
	if a := o.want(t, http.StatusOK, "GET", "/v1/users/me/requests", "", append(stranger.auth(), "X-User-Id", owner.ID)...); strings.Contains(string(a.body), owner.ID) {
		t.Errorf("another's requests are listed: %s", a.body)
	}
	// The same task is a job of each.
	var same struct{ ID string }
	o.want(t, http.StatusAccepted, "POST", "/v1/jobs", task, stranger.auth()...).decode(t, &same)
	if same.ID == job.ID {
		t.Error("another's job is handed out")
	}
	// All of it is still there.
	o.want(t, http.StatusOK, "GET", "/v1/jobs/"+job.ID, "", owner.auth()...)
	o.want(t, http.StatusOK, "GET", "/v1/jobs/"+job.ID, "", "X-Api-Key", key.Key)
	o.want(t, http.StatusNoContent, "DELETE", "/v1/posts/"+post.ID, "", owner.auth()...)
	for user, id := range map[*user]string{&owner: job.ID, &stranger: same.ID} {
		o.do(t, "DELETE", "/v1/jobs/"+id, "", user.auth()...) // done by now, or not
	}
}

// authentication: tokens that were signed with the real key and still say what
// they must not. Guessing is TestSignInIsSlowed; a token after sign-out
// TestSignOutEndsTheToken; the unsigned and the forged, TestBadInput; keys that
// have ended, TestAPIKeys.
func (o *attack) authentication(t *testing.T) {
	u, other := o.signUp(t, "token"), o.signUp(t, "another")
	header, claims := o.parts(t, u.token)
	_, others := o.parts(t, other.token)
	sign := func(method jwt.SigningMethod, key any, kid any, change func(jwt.MapClaims)) string {
		t.Helper()
		c := jwt.MapClaims{}
		for name, value := range claims {
			c[name] = value
		}
		if change != nil {
			change(c)
		}
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	key, kid := []byte(o.JWTKey), header["kid"]
	hour := float64(time.Now().Add(-time.Hour).Unix())
	for name, tt := range map[string]struct {
		token string
		code  fault.Code
	}{
		"as it is":               {sign(jwt.SigningMethodHS256, key, kid, nil), ""},
		"expired":                {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["exp"] = hour }), fault.TokenExpired},
		"without an end":         {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { delete(c, "exp") }), fault.InvalidToken},
		"of another issuer":      {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["iss"] = "x" }), fault.InvalidToken},
		"for another audience":   {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["aud"] = "pharos-console" }), fault.InvalidToken},
		"of no user":             {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { delete(c, "sub") }), fault.InvalidToken},
		"of another's name":      {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["sub"] = other.ID }), fault.SessionEnded},
		"of another's session":   {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["jti"] = others["jti"] }), fault.SessionEnded},
		"of no session":          {sign(jwt.SigningMethodHS256, key, kid, func(c jwt.MapClaims) { c["jti"] = "0198c0de-0000-7000-8000-000000000000" }), fault.SessionEnded},
		"by another algorithm":   {sign(jwt.SigningMethodHS512, key, kid, nil), fault.InvalidToken},
		"by none":                {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil), fault.InvalidToken},
		"by a key of one's own":  {sign(jwt.SigningMethodHS256, []byte(strings.Repeat("k", 32)), kid, nil), fault.InvalidToken},
		"by an empty key":        {sign(jwt.SigningMethodHS256, []byte{}, kid, nil), fault.InvalidToken},
		"by a key without name":  {sign(jwt.SigningMethodHS256, key, "", nil), fault.InvalidToken},
		"by a file as the key":   {sign(jwt.SigningMethodHS256, []byte{}, "../../../../dev/null", nil), fault.InvalidToken},
		"by a number as the key": {sign(jwt.SigningMethodHS256, key, 1, nil), fault.InvalidToken},
	} {
		auth := []string{"Authorization", "Bearer " + tt.token}
		if tt.code == "" {
			o.want(t, http.StatusOK, "GET", "/v1/feed", "", auth...)
			continue
		}
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { o.refused(t, tt.code, "GET", "/v1/feed", "", auth...) })
	}
	for _, path := range []string{"/v1/feed?access_token=" + u.token, "/v1/feed?token=" + u.token} { // a query is logged
		if a := o.do(t, "GET", path, ""); a.status < 400 {
			t.Errorf("a token in the query is taken: %d", a.status)
		}
	}
	// Who exists can't be learnt from a refusal.
	refusal := func(handle string) string {
		var p fault.Problem
		o.refused(t, fault.InvalidCredentials, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"not the password"}`, handle)).decode(t, &p)
		return fmt.Sprint(p.Status, p.Type, p.Title, p.Detail, p.Field)
	}
	if known, unknown := refusal(u.Handle), refusal("nobody_"+random(t)); known != unknown {
		t.Errorf("who exists is told by %q and %q", known, unknown)
	}
}

// parts reads a token's header and claims.
func (o *attack) parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// properties: a client sets no field that is not its own to set, and is shown
// none that is not for it.
func (o *attack) properties(t *testing.T) {
	u, other := o.signUp(t, "fields"), o.signUp(t, "others")
	for field, tt := range map[string]struct{ method, path, body string }{
		"id":           {"POST", "/v1/users", `{"handle":"mass_1","name":"x","password":"12345678","id":"1"}`},
		"suspended_at": {"POST", "/v1/users", `{"handle":"mass_2","name":"x","password":"12345678","suspended_at":null}`},
		"role":         {"POST", "/v1/users", `{"handle":"mass_3","name":"x","password":"12345678","role":"operator"}`},
		"expires_at":   {"POST", "/v1/sessions", `{"handle":"mass_4","password":"12345678","expires_at":"2099-01-01T00:00:00Z"}`},
		"author_id":    {"POST", "/v1/posts", fmt.Sprintf(`{"text":"x","author_id":%q}`, other.ID)},
		"created_at":   {"POST", "/v1/posts", `{"text":"x","created_at":"2000-01-01T00:00:00Z"}`},
		"user_id":      {"POST", "/v1/api-keys", fmt.Sprintf(`{"name":"x","scopes":["feed:read"],"user_id":%q}`, other.ID)},
		"key":          {"POST", "/v1/api-keys", `{"name":"x","scopes":["feed:read"],"key":"chosen"}`},
		"state":        {"POST", "/v1/jobs", `{"task":"factorial","arguments":{"n":3},"state":"done"}`},
		"owner":        {"POST", "/v1/jobs", fmt.Sprintf(`{"task":"factorial","arguments":{"n":3},"owner":%q}`, other.ID)},
	} {
		header := u.auth()
		if strings.HasPrefix(tt.path, "/v1/users") || strings.HasPrefix(tt.path, "/v1/sessions") {
			header = nil
		}
		var p fault.Problem
		o.refused(t, fault.UnknownField, tt.method, tt.path, tt.body, header...).decode(t, &p)
		if p.Field != field {
			t.Errorf("%s %s: it is %q that is refused, want %q", tt.method, tt.path, p.Field, field)
		}
	}
	fields := func(a answer, at ...string) []string {
		t.Helper()
		var v map[string]any
		a.decode(t, &v)
		for _, name := range at {
			if list, ok := v[name].([]any); ok && len(list) > 0 {
				v, _ = list[0].(map[string]any)
			} else {
				v, _ = v[name].(map[string]any)
			}
		}
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", what, got, want)
		}
	}
	handle := "fields_" + random(t)
	expect("a new user", fields(o.want(t, http.StatusCreated, "POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":"x","password":%q}`, handle, password))), "handle", "id", "name")
	o.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"x"}`, other.auth()...)
	o.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+other.Handle, "", u.auth()...)
	feed := o.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	expect("an item", fields(feed, "items"), "author", "created_at", "id", "text")
	expect("an author", fields(feed, "items", "author"), "handle", "id", "name")
	for path, header := range map[string][]string{
		"/v1/admin/users?handle=" + u.Handle: {"X-Api-Key", o.OperatorKey}, "/v1/api-keys": u.auth(), "/v1/users/me/requests": u.auth(),
	} {
		a := o.want(t, http.StatusOK, "GET", path, "", header...)
		for _, word := range []string{"password", "argon2", "hash", u.token} {
			if strings.Contains(string(a.body), word) {
				t.Errorf("%s tells %s", path, word)
			}
		}
	}
}

// resources: what a caller may have at most. The limits of bodies and pages are
// TestBadInput; of rates, internal/ratelimit and nginx's tests; of load,
// TestGoodputUnderOverload; of visitors' jobs, api's TestJobPagesRefuse.
func (o *attack) resources(t *testing.T) {
	u := o.signUp(t, "greedy")
	var jobs []string
	var last answer
	for n := range 10 { // each long enough to wait for the one before
		last = o.do(t, "POST", "/v1/jobs", fmt.Sprintf(`{"task":"fibonacci","arguments":{"n":%d}}`, 90_000_000+n), u.auth()...)
		if last.status != http.StatusAccepted {
			break
		}
		var job struct{ ID string }
		last.decode(t, &job)
		jobs = append(jobs, job.ID)
	}
	for _, id := range jobs {
		o.do(t, "DELETE", "/v1/jobs/"+id, "", u.auth()...)
	}
	if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") == "" || len(jobs) < 5 {
		t.Errorf("after %d jobs: %d %s, Retry-After %q", len(jobs), last.status, last.body, last.header.Get("Retry-After"))
	}
	keys := 0
	for ; keys < 40; keys++ {
		last = o.do(t, "POST", "/v1/api-keys", fmt.Sprintf(`{"name":"key-%d","scopes":["feed:read"]}`, keys), u.auth()...)
		if last.status != http.StatusCreated {
			break
		}
	}
	if last.status != http.StatusUnprocessableEntity || keys != 20 {
		t.Errorf("after %d API keys: %d %s", keys, last.status, last.body)
	}
	deep := `{"text":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`
	o.refused(t, fault.MalformedBody, "POST", "/v1/posts", deep, u.auth()...)
	events := "[" + strings.Repeat(`{"specversion":"1.0","id":"1","source":"/x","type":"shop.view","data":{}},`, 1000)
	if a := o.do(t, "POST", "/v1/events", strings.TrimSuffix(events, ",")+"]", append(u.auth(), "Content-Type", "application/cloudevents-batch+json")...); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a batch of 1000 events: %d %.200s", a.status, a.body)
	}
	o.refused(t, fault.InvalidParameter, "GET", "/v1/users/me/requests?limit=1000000", "", u.auth()...)
}

// functions: what is for operators is for nobody else, by whatever method. Keys
// and their scopes are TestAPIKeys.
func (o *attack) functions(t *testing.T) {
	u := o.signUp(t, "plain")
	var key apiKey
	o.want(t, http.StatusCreated, "POST", "/v1/api-keys", `{"name":"all","scopes":["events:write","feed:read","jobs:write","posts:write"]}`, u.auth()...).decode(t, &key)
	for _, call := range []struct{ method, path string }{
		{"GET", "/v1/functions"}, {"GET", "/v1/functions/feed.SignIn"}, {"GET", "/v1/admin/users?handle=" + u.Handle},
		{"GET", "/v1/admin/users/" + u.ID + "/requests"}, {"PUT", "/v1/admin/users/" + u.ID + "/suspension"}, {"DELETE", "/v1/admin/users/" + u.ID + "/suspension"},
	} {
		o.refused(t, fault.Unauthenticated, call.method, call.path, "")
		o.refused(t, fault.Unauthenticated, call.method, call.path, "", u.auth()...)
		o.refused(t, fault.Forbidden, call.method, call.path, "", "X-Api-Key", key.Key)
		o.refused(t, fault.Forbidden, call.method, call.path, "", "X-Api-Key", o.OperatorKey[:len(o.OperatorKey)-1])
		for _, override := range []string{"X-HTTP-Method-Override", "X-Method-Override"} {
			if a := o.do(t, "POST", call.path, "", "X-Api-Key", key.Key, override, call.method); a.status < 400 {
				t.Errorf("POST as %s %s: %d", call.method, call.path, a.status)
			}
		}
	}
	// Behind api, feed answers api alone; and the watcher's API operators alone.
	for _, port := range []int{o.Feed1Port, o.Feed2Port} {
		if status, body := o.plain(t, "GET", fmt.Sprintf("http://127.0.0.1:%d/v1/feed", port), "", "Authorization", "Bearer "+u.token); status != http.StatusForbidden {
			t.Errorf("feed answers a user: %d %s", status, body)
		}
	}
	support := "Basic " + base64.StdEncoding.EncodeToString([]byte("support:"+o.Support))
	for header, want := range map[string]int{"": http.StatusUnauthorized, support: http.StatusForbidden, "Bearer " + u.token: http.StatusUnauthorized} {
		for _, path := range []string{"/v1/silences", "/v1/alerts/x/ack", "/v1/incidents", "/v1/changes"} {
			if status, body := o.plain(t, "POST", fmt.Sprintf("http://127.0.0.1:%d%s", o.WatcherPort, path), `{}`, "Authorization", header); status != want {
				t.Errorf("%s by %.12q: %d %s, want %d", path, header, status, body, want)
			}
		}
	}
	o.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...) // nobody was suspended
}

// plain asks one of the servers behind nginx.
func (o *attack) plain(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for pair := range slices.Chunk(header, 2) {
		if pair[1] != "" {
			req.Header.Set(pair[0], pair[1])
		}
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// flows: what costs or earns something is done once, by whom it is for. Orders
// that are counted once are TestShopEventsAreCounted; posts, TestEqualPostsMakeOnePost.
func (o *attack) flows(t *testing.T) {
	buyer, rival := o.signUp(t, "buyer"), o.signUp(t, "rival")
	order := fmt.Sprintf(`{"specversion":"1.0","id":"order-%s","source":"/shop","type":"shop.purchase","data":{"session_id":"s","order_id":"o","product_id":"p","quantity":1,"price":10,"amount":10,"currency":"EUR"}}`, random(t))
	status := func(a answer) string {
		t.Helper()
		var results struct {
			Items []struct{ Status, Detail string }
		}
		a.decode(t, &results)
		if len(results.Items) != 1 {
			t.Fatalf("%s", a.body)
		}
		return results.Items[0].Status
	}
	first := status(o.want(t, http.StatusAccepted, "POST", "/v1/events", order, buyer.auth()...))
	again := status(o.want(t, http.StatusAccepted, "POST", "/v1/events", order, buyer.auth()...))
	if first != "accepted" || again != "duplicate" {
		t.Errorf("an order is %s, and sent again %s", first, again)
	}
	// A key for one effect is its user's own: with another's, nobody gets that
	// user's answer, nor is kept from an effect of one's own.
	key := []string{idempotency.Header, "guessed-" + random(t)}
	var mine, theirs struct {
		ID       string
		AuthorID string `json:"author_id"`
	}
	o.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"once"}`, append(buyer.auth(), key...)...).decode(t, &mine)
	o.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"once"}`, append(rival.auth(), key...)...).decode(t, &theirs)
	if mine.ID == theirs.ID || theirs.AuthorID != rival.ID {
		t.Errorf("the rival got %+v, the buyer %+v", theirs, mine)
	}
	// A name that is taken stays its owner's.
	o.refused(t, fault.Conflict, "POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":"x","password":"another password"}`, buyer.Handle))
	o.signIn(t, buyer.Handle)
}
