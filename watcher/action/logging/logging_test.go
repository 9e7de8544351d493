package logging_test

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pharos/watcher"
	"pharos/watcher/action/logging"
	"pharos/watcher/document"
)

func TestLogging(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	parse := logging.Parser(logging.Deps{Log: zap.New(core)})
	v, _ := document.Parse([]byte(`{"text":"{{ctx.watch_id}} has {{ctx.payload.n}}","level":"WARN","category":"c"}`))
	a, err := parse("actions.log.logging", v)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := a.Body().MarshalJSON(); string(got) != `{"category":"c","level":"warn","text":"{{ctx.watch_id}} has {{ctx.payload.n}}"}` {
		t.Errorf("body %s", got)
	}
	model, _ := document.ParseObject([]byte(`{"ctx":{"watch_id":"w","payload":{"n":5}}}`))
	for _, simulate := range []bool{true, false} {
		r := a.Execute(t.Context(), watcher.Run{WatchID: "w", ActionID: "log", Model: model, Simulate: simulate})
		want := map[bool]watcher.ActionStatus{true: watcher.Simulated, false: watcher.Success}[simulate]
		if got, _ := r.Detail.MarshalJSON(); r.Status != want || string(got) != `{"logged_text":"w has 5"}` {
			t.Errorf("%s %s", r.Status, got)
		}
		if simulate && logs.Len() > 0 {
			t.Error("a simulated action logged")
		}
	}
	if e := logs.All(); len(e) != 1 || e[0].Message != "w has 5" || e[0].Level != zap.WarnLevel {
		t.Errorf("logged %v", e)
	}
	for in, want := range map[string]string{
		`{"level":"info"}`:             `failed to parse [logging] action [log]. missing required [text] field (at actions.log.logging.text)`,
		`{"text":"x","level":"loud"}`:  `failed to parse [logging] action [log]. unknown logging level [loud] (at actions.log.logging.level)`,
		`{"text":"x","colour":"blue"}`: `failed to parse [logging] action [log]. unexpected string field [colour] (at actions.log.logging.colour)`,
	} {
		v, _ := document.Parse([]byte(in))
		if _, err := parse("actions.log.logging", v); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}
