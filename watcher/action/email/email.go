// Package email is the email action, sent by SMTP. Attachments of data and of
// HTTP requests are there; Kibana's reports are refused.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-email.html
package email

import (
	"context"
	"fmt"
	"net/mail"
	"strings"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
)

// Deps are what the action needs.
type Deps struct {
	Renderer mustache.Renderer
	Account  Account
	HTTP     HTTP // of http attachments
	NewID    func() string
}

// HTTP sends calls; httpcall.Client is one.
type HTTP interface {
	Do(ctx context.Context, call *httpcall.Call) (*httpcall.Response, error)
}

type action struct {
	deps        Deps
	account     string
	user        string
	hasUser     bool
	password    *string
	profile     string
	attachData  string // yaml, json; empty: not
	attachments []attachment
	texts       map[string]*mustache.Template // from, priority, subject
	lists       map[string][]*mustache.Template
	text, html  *mustache.Template
}

//nolint:gochecknoglobals // a table that is only read
var addressKeys = []string{"reply_to", "to", "cc", "bcc"}

// Parser returns the parser of email actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		in := fields.Read(path, fmt.Sprintf("could not parse [email] action [%s]", fields.ActionID(path)), body)
		a := &action{deps: deps, profile: "standard", texts: map[string]*mustache.Template{}, lists: map[string][]*mustache.Template{}}
		a.account, _ = in.String("account")
		if a.account != "" && (a.account != DefaultAccount || !deps.Account.There()) {
			in.Fail("account", "no account found for name: [%s]", a.account)
		}
		a.user, a.hasUser = in.String("user")
		if password, ok := in.String("password"); ok {
			a.password = &password
		}
		if profile, ok := in.String("profile"); ok {
			a.profile = strings.ToLower(profile)
			switch a.profile {
			case "standard", "gmail", "mac", "outlook":
			default:
				in.Fail("profile", "[%s] is an unknown profile", profile)
			}
		}
		a.parseAttachData(in)
		a.parseAttachments(in)
		for _, key := range []string{"from", "priority", "subject"} {
			if t := in.Template(key); t != nil {
				a.texts[key] = t
			}
		}
		for _, key := range addressKeys {
			if list, ok := in.Templates(key); ok {
				a.lists[key] = list
				checkAddresses(in, key, list...)
			}
		}
		if from := a.texts["from"]; from != nil {
			checkAddresses(in, "from", from)
		}
		a.parseBody(in)
		if err := in.Done(); err != nil {
			return nil, err
		}
		return a, nil
	}
}

// checkAddresses refuses addresses that are wrong whatever the model is.
func checkAddresses(in *fields.Reader, key string, templates ...*mustache.Template) {
	for _, t := range templates {
		if t == nil {
			return
		}
		text, ok := t.Value().(string)
		if !ok || strings.Contains(text, "{{") {
			continue
		}
		if _, err := mail.ParseAddressList(text); err != nil {
			in.Fail(key, "invalid email address [%s]", text)
		}
	}
}

func (a *action) parseBody(in *fields.Reader) {
	v, ok := in.Value("body")
	if !ok {
		return
	}
	if _, isText := v.(string); isText {
		a.text = in.Template("body")
		return
	}
	body := fields.Read(in.Path("body"), "could not parse email template", v)
	a.text, a.html = body.Template("text"), body.Template("html")
	in.Keep(body.Done())
}

// Execute renders the e-mail and sends it.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	m, err := a.render(ctx, run)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: document.NewObject(document.Pair{Key: "message", Value: m.record()})}
	}
	if err := a.deps.Account.send(ctx, m, a.user, a.password); err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: fmt.Errorf("failed to send email with subject [%s] via account [%s]: %w", m.subject, DefaultAccount, err)}
	}
	return watcher.ActionResult{Status: watcher.Success, Detail: document.NewObject(
		document.Pair{Key: "account", Value: DefaultAccount}, document.Pair{Key: "message", Value: m.record()})}
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object {
	o := document.NewObject()
	if a.account != "" {
		o.Set("account", a.account)
	}
	if a.hasUser {
		o.Set("user", a.user)
	}
	if a.password != nil {
		o.Set("password", *a.password)
	}
	o.Set("profile", a.profile)
	if a.attachData != "" {
		o.Set("attach_data", document.NewObject(document.Pair{Key: "format", Value: a.attachData}))
	}
	if len(a.attachments) > 0 {
		list := document.NewObject()
		for _, one := range a.attachments {
			list.Set(one.id, one.value())
		}
		o.Set("attachments", list)
	}
	for _, key := range []string{"from", "reply_to", "priority", "to", "cc", "bcc", "subject"} {
		if t := a.texts[key]; t != nil {
			o.Set(key, t.Value())
		}
		if list, ok := a.lists[key]; ok {
			values := []any{}
			for _, t := range list {
				values = append(values, t.Value())
			}
			o.Set(key, values)
		}
	}
	if a.text != nil || a.html != nil {
		body := document.NewObject()
		if a.text != nil {
			body.Set("text", a.text.Value())
		}
		if a.html != nil {
			body.Set("html", a.html.Value())
		}
		o.Set("body", body)
	}
	return o
}

// SecretPaths are the password and those of http attachments.
func (a *action) SecretPaths() []string {
	var paths []string
	if a.password != nil {
		paths = append(paths, "password")
	}
	for _, one := range a.attachments {
		if one.request == nil {
			continue
		}
		for _, p := range one.request.SecretPaths() {
			paths = append(paths, "attachments."+one.id+".http.request."+p)
		}
	}
	return paths
}
