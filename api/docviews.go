package api

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"pharos/api/openapi"
	"pharos/internal/fault"
)

// docsView is what pages/docs.html shows.
type docsView struct {
	Title, Name string
	Info        openapi.Info
	Steps       []commandStep
	Schemes     []openapi.Scheme
	Groups      []operationGroup
	Headers     []openapi.Header
	Limits      []limitGroup
	Problems    []problemView
}

// commandStep is a step of the quick start.
type commandStep struct {
	Words   string
	Command commandView
}

type operationGroup struct {
	ID, Name, Description string
	Operations            []operationView
}

type operationView struct {
	openapi.Operation
	Needs    string // whom it answers
	Command  commandView
	Fields   []openapi.Field
	Bodies   []string // media types
	Answers  []answerView
	Problems []int // statuses
}

type answerView struct {
	Status, Description string
	Types, Headers      []string
	Fields              []openapi.Field
	Example             string
}

// problemPage is what pages/problem.html shows.
type problemPage struct {
	Title, Name string
	Problem     problemView
}

// problemView is an entry of the catalogue of problems.
type problemView struct {
	Code     string `json:"-"`
	Type     string `json:"type"`
	Title    string `json:"title"`
	Statuses []int  `json:"statuses"`
	Cause    string `json:"cause"`
	Cure     string `json:"cure"`
	Retry    string `json:"retry"` // as openapi.Problem has it
	Front    bool   `json:"-"`     // nginx alone answers with it
}

// problemViews are the problems by status.
func problemViews(of []openapi.Problem) []problemView {
	out := make([]problemView, 0, len(of))
	for _, p := range of {
		v := problemView{
			Code: p.Code, Type: "/problems/" + p.Code, Title: p.Title, Statuses: []int{p.Status},
			Cause: p.Cause, Cure: p.Cure, Retry: p.Retry, Front: p.Status != 0,
		}
		if !v.Front {
			f := fault.Error{Code: fault.Code(p.Code)}
			v.Title, v.Statuses = f.Title(), append([]int{f.Status()}, p.Also...)
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b problemView) int { return cmp.Compare(a.Statuses[0], b.Statuses[0]) })
	return out
}

// RetryWords says what to do with the request.
func (p problemView) RetryWords() string {
	switch p.Retry {
	case "later":
		return "Send the same request again, later."
	case "changed":
		return "The same request fails again until it, or what it met, has changed."
	}
	return "Do not send it again."
}

// docsView describes the API as it is reached at the given scheme and host.
func (h *docHandlers) docsView(base string) (docsView, error) {
	view := docsView{
		Title: "API · Pharos", Name: "docs", Info: h.doc.Info, Steps: quickStart(base),
		Limits: h.limits, Problems: h.problems,
	}
	for name, s := range h.doc.Components.Schemes.All {
		s.Name = name
		view.Schemes = append(view.Schemes, s)
	}
	for name, header := range h.doc.Components.Headers.All {
		header.Name = strings.TrimSuffix(name, "-Required")
		if !slices.ContainsFunc(view.Headers, func(other openapi.Header) bool { return other.Name == header.Name }) {
			view.Headers = append(view.Headers, header)
		}
	}
	for _, tag := range h.doc.Tags {
		group := operationGroup{ID: anchor(tag.Name), Name: tag.Name, Description: tag.Description}
		for _, op := range h.doc.Operations {
			if !slices.Contains(op.Tags, tag.Name) {
				continue
			}
			one, err := newOperationView(op, base)
			if err != nil {
				return docsView{}, err
			}
			group.Operations = append(group.Operations, one)
		}
		view.Groups = append(view.Groups, group)
	}
	return view, nil
}

func anchor(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

// quickStart is a walk through the API in commands that work as they are.
func quickStart(base string) []commandStep {
	const asJSON = ` -H 'Content-Type: application/json' -d `
	var steps []commandStep
	for i, step := range []struct{ words, line string }{
		{"Sign up.", `curl -s ` + base + `/v1/users` + asJSON + `'{"handle":"reader_1","name":"A reader","password":"long enough"}'`},
		{"Sign in, and keep the token.", `TOKEN=$(curl -s ` + base + `/v1/sessions` + asJSON + `'{"handle":"reader_1","password":"long enough"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')`},
		{"Post. With an Idempotency-Key the command can be repeated without posting twice.", `curl -s ` + base + `/v1/posts -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: my-first-post'` + asJSON + `'{"text":"Hello, world."}'`},
		{"Read your feed. Note X-Trace-Id, RateLimit and ETag.", `curl -si ` + base + `/v1/feed -H "Authorization: Bearer $TOKEN"`},
		{"Compute a number. That needs no token.", `curl -s '` + base + `/tasks/fibonacci?n=90'`},
	} {
		steps = append(steps, commandStep{step.words, commandView{"quick-" + strconv.Itoa(i+1), step.line}})
	}
	return steps
}

func newOperationView(op openapi.Operation, base string) (operationView, error) {
	v := operationView{Operation: op, Needs: needs(op)}
	var err error
	if v.Command, err = command(op, base); err != nil {
		return v, err
	}
	if op.Body != nil {
		for name, media := range op.Body.Content.All {
			if len(v.Bodies) == 0 {
				v.Fields = media.Schema.Fields()
			}
			v.Bodies = append(v.Bodies, name)
		}
	}
	for status, r := range op.Responses.All {
		if n, err := strconv.Atoi(status); err == nil && n >= 400 && hasProblem(r) {
			v.Problems = append(v.Problems, n)
			continue
		}
		answer := answerView{Status: status, Description: r.Description}
		for name := range r.Headers.All {
			answer.Headers = append(answer.Headers, name)
		}
		for name, media := range r.Content.All {
			answer.Types = append(answer.Types, name)
			if answer.Example == "" {
				answer.Fields = media.Schema.Fields()
				if answer.Example, err = media.Sample().JSON(); err != nil {
					return v, err
				}
			}
		}
		v.Answers = append(v.Answers, answer)
	}
	return v, nil
}

func hasProblem(r openapi.Response) bool {
	for name := range r.Content.All {
		if name == fault.ContentType {
			return true
		}
	}
	return false
}

// needs says in words who may call.
func needs(op openapi.Operation) string {
	var words []string
	for _, way := range op.Security {
		for name, scopes := range way {
			switch {
			case name == "operatorKey":
				words = append(words, "the operator's key")
			case name == "apiKey" && len(scopes) > 0:
				words = append(words, "an API key with the scope "+strings.Join(scopes, ", "))
			default:
				words = append(words, "a token")
			}
		}
	}
	return strings.Join(words, ", or ")
}

// command is a curl line that makes the operation's example request.
func command(op openapi.Operation, base string) (commandView, error) {
	target, query := op.Path, ""
	var line strings.Builder
	line.WriteString("curl -s")
	if op.Method != "GET" && (op.Method != "POST" || op.Body == nil) {
		line.WriteString(" -X " + op.Method)
	}
	var headers []string
	for _, p := range op.Parameters {
		text, err := p.Example.Text()
		if err != nil {
			return commandView{}, err
		}
		switch {
		case p.In == "path":
			target = strings.ReplaceAll(target, "{"+p.Name+"}", text)
		case p.In == "query" && p.Required:
			query += "&" + p.Name + "=" + text
		}
	}
	for _, way := range op.Security {
		if _, ok := way["bearer"]; ok {
			headers = append(headers, `"Authorization: Bearer $TOKEN"`)
		} else if _, ok := way["operatorKey"]; ok {
			headers = append(headers, `"X-Api-Key: $OPERATOR_API_KEY"`)
		}
	}
	if query != "" {
		query = "?" + query[1:]
	}
	line.WriteString(" '" + base + target + query + "'")
	if op.Body != nil {
		for name, media := range op.Body.Content.All {
			text, err := media.Sample().Compact()
			if err != nil {
				return commandView{}, err
			}
			headers = append(headers, "'Content-Type: "+name+"'")
			line.WriteString(" -d '" + text + "'")
			break
		}
	}
	for _, h := range headers {
		line.WriteString(" -H " + h)
	}
	return commandView{"command-" + op.ID, line.String()}, nil
}
