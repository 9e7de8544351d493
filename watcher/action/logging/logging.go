// Package logging is the logging action: it writes a text into the process's
// log.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-logging.html
package logging

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/mustache"
)

// Deps are what the action needs.
type Deps struct {
	Renderer mustache.Renderer
	Log      *zap.Logger
}

type action struct {
	deps     Deps
	text     *mustache.Template
	level    string
	category string
}

// Parser returns the parser of logging actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		in := fields.Read(path, fmt.Sprintf("failed to parse [logging] action [%s]", fields.ActionID(path)), body)
		a := &action{deps: deps, level: "info", text: in.Template("text")}
		a.category, _ = in.String("category")
		if level, ok := in.String("level"); ok {
			a.level = strings.ToLower(level)
			if _, ok := levelOf(a.level); !ok {
				in.Fail("level", "unknown logging level [%s]", level)
			}
		}
		if !in.Has("text") {
			in.Fail("text", "missing required [text] field")
		}
		if err := in.Done(); err != nil {
			return nil, err
		}
		return a, nil
	}
}

// levelOf is zap's level for Elastic's; zap has nothing below debug.
func levelOf(name string) (zapcore.Level, bool) {
	switch name {
	case "error":
		return zap.ErrorLevel, true
	case "warn":
		return zap.WarnLevel, true
	case "info":
		return zap.InfoLevel, true
	case "debug", "trace":
		return zap.DebugLevel, true
	}
	return 0, false
}

// Execute logs the text.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	text, err := a.deps.Renderer.Render(ctx, a.text, run.Model)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	detail := document.NewObject(document.Pair{Key: "logged_text", Value: text})
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: detail}
	}
	level, _ := levelOf(a.level)
	log := []zap.Field{zap.String("labels.watch_id", run.WatchID), zap.String("labels.action_id", run.ActionID)}
	if a.category != "" {
		log = append(log, zap.String("labels.category", a.category))
	}
	a.deps.Log.Log(level, text, log...)
	return watcher.ActionResult{Status: watcher.Success, Detail: detail}
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object {
	o := document.NewObject()
	if a.category != "" {
		o.Set("category", a.category)
	}
	return o.Set("level", a.level).Set("text", a.text.Value())
}

// SecretPaths is empty: a log line holds no secret.
func (a *action) SecretPaths() []string { return nil }
