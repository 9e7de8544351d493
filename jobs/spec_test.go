package jobs_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pharos/internal/fault"
	"pharos/jobs"
)

func limits() jobs.Limits { return jobs.Limits{FibonacciMaxN: 100_000_000, FactorialMaxN: 1_000_000} }

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		task, arguments string
		n               uint64
		code            fault.Code
		field           string
	}{
		{"fibonacci", `{"n": 100000000}`, 100_000_000, "", ""},
		{"factorial", ` {"n":0} `, 0, "", ""},
		{"", `{"n":1}`, 0, fault.InvalidParameter, "task"},
		{"Fibonacci", `{"n":1}`, 0, fault.InvalidParameter, "task"},
		{"ackermann", `{"n":1}`, 0, fault.InvalidParameter, "task"},
		{"fibonacci", ``, 0, fault.InvalidParameter, "arguments"},
		{"fibonacci", `null`, 0, fault.InvalidParameter, "arguments"},
		{"fibonacci", `[1]`, 0, fault.InvalidParameter, "arguments"},
		{"fibonacci", `"n"`, 0, fault.InvalidParameter, "arguments"},
		{"fibonacci", `{}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":null}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":"5"}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":true}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":[5]}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":-1}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":1.5}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":1e3}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":99999999999999999999999999}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":1,"n":2}`, 0, fault.InvalidParameter, "arguments.n"},
		{"fibonacci", `{"n":1,"m":2}`, 0, fault.UnknownField, "arguments.m"},
		{"fibonacci", `{"n":100000001}`, 0, fault.LimitExceeded, "arguments.n"},
		{"factorial", `{"n":1000001}`, 0, fault.LimitExceeded, "arguments.n"},
	} {
		spec, err := limits().Parse(tt.task, json.RawMessage(tt.arguments))
		if tt.code == "" {
			if err != nil || spec != (jobs.Spec{Task: tt.task, N: tt.n}) {
				t.Errorf("%s %s: %+v, %v", tt.task, tt.arguments, spec, err)
			}
			continue
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != tt.code || f.Field != tt.field {
			t.Errorf("%s %s: %v, want %s of %s", tt.task, tt.arguments, err, tt.code, tt.field)
		}
	}
}

func TestLimitsValidate(t *testing.T) {
	for name, l := range map[string]jobs.Limits{
		"JOBS_FIBONACCI_MAX_N": {FibonacciMaxN: 1_000_000_000},
		"JOBS_FACTORIAL_MAX_N": {FactorialMaxN: 100_000_000},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := limits().Validate(); err != nil {
		t.Error(err)
	}
}

// Whatever a client sends gives a job within the limits or a fault that is the
// client's and names a field.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"n":5}`, `{"n":-0}`, `{"n":1,"n":2}`, `{"n":`, `{"n":1}}`, `{"\u006e":7}`, `{"n":01}`, "{\"\xff\":1}", `{"n":{"n":1}}`} {
		f.Add("fibonacci", []byte(seed))
		f.Add("factorial", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, task string, arguments []byte) {
		spec, err := limits().Parse(task, arguments)
		if err == nil {
			if spec.Task != task || spec.Task == "factorial" && spec.N > 1_000_000 || spec.N > 100_000_000 {
				t.Errorf("let through: %+v", spec)
			}
			return
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Status()/100 != 4 || e.Field != "task" && !strings.HasPrefix(e.Field, "arguments") || len(e.Field) > 200 {
			t.Errorf("answered %v", err)
		}
	})
}
