package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pharos/internal/fault"
	"pharos/jobs/bigdec"
	"pharos/tasks"
)

// Spec is what a job is to do.
type Spec struct {
	Task string
	N    uint64
}

// The tasks that jobs can do.
const (
	Fibonacci = "fibonacci"
	Factorial = "factorial"
)

// Limits bound what a job may be asked for.
type Limits struct {
	// F(10⁸) and the sum have 20.9 million digits each: some 4 s and 300 MB.
	FibonacciMaxN uint64 `env:"JOBS_FIBONACCI_MAX_N" envDefault:"100000000"`
	// 1000000! has 5.6 million digits: about 1 s.
	FactorialMaxN uint64 `env:"JOBS_FACTORIAL_MAX_N" envDefault:"1000000"`
}

// Validate implements env.Validator.
func (l Limits) Validate() error {
	if bigdec.FibonacciDigits(l.FibonacciMaxN) > bigdec.MaxDigits {
		return fmt.Errorf("JOBS_FIBONACCI_MAX_N=%d: its result has more than %d digits", l.FibonacciMaxN, bigdec.MaxDigits)
	}
	if bigdec.FactorialDigits(l.FactorialMaxN) > bigdec.MaxDigits {
		return fmt.Errorf("JOBS_FACTORIAL_MAX_N=%d: its result has more than %d digits", l.FactorialMaxN, bigdec.MaxDigits)
	}
	return nil
}

// Parse reads what a client asks for: the task's name and the JSON object of
// its arguments. Its errors name the field: task, arguments or arguments.n.
func (l Limits) Parse(task string, arguments json.RawMessage) (Spec, error) {
	limit := map[string]uint64{Fibonacci: l.FibonacciMaxN, Factorial: l.FactorialMaxN}
	most, known := limit[task]
	switch {
	case task == "":
		return Spec{}, fault.Field(fault.InvalidParameter, "task", "task is missing; it must be one of %s.", names(limit))
	case !known:
		return Spec{}, fault.Field(fault.InvalidParameter, "task", "There is no such task; there are %s.", names(limit))
	}
	n, err := numberN(arguments)
	if err != nil {
		return Spec{}, err
	}
	if n > most {
		return Spec{}, fault.Field(fault.LimitExceeded, "arguments.n", "n is limited to %d for jobs (setting JOBS_%s_MAX_N).", most, strings.ToUpper(task))
	}
	return Spec{task, n}, nil
}

func names(of map[string]uint64) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), " and ")
}

// numberN reads {"n": number}, with nothing else in it and n only once.
func numberN(arguments json.RawMessage) (uint64, error) {
	invalid := func(format string, args ...any) (uint64, error) {
		return 0, fault.Field(fault.InvalidParameter, "arguments", format, args...)
	}
	dec := json.NewDecoder(bytes.NewReader(arguments))
	dec.UseNumber()
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return invalid(`arguments is missing; it must be an object such as {"n": 1000000}.`)
	} else if err != nil || first != json.Delim('{') {
		return invalid(`arguments must be an object such as {"n": 1000000}.`)
	}
	var n json.RawMessage
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return invalid("arguments is not valid JSON.")
		}
		name, _ := key.(string) // a key of an object is one
		if name != "n" {
			if runes := []rune(name); len(runes) > 40 {
				name = string(runes[:40]) + "…"
			}
			return 0, fault.Field(fault.UnknownField, "arguments."+name, "There is no argument of this name; this task takes n.")
		}
		if n != nil {
			return 0, fault.Field(fault.InvalidParameter, "arguments.n", "n is given more than once.")
		}
		if err := dec.Decode(&n); err != nil {
			return invalid("arguments is not valid JSON.")
		}
	}
	return parseN(n)
}

func parseN(n json.RawMessage) (uint64, error) {
	if n == nil {
		return 0, fault.Field(fault.InvalidParameter, "arguments.n", "n is missing; it must be a whole number, 0 or more.")
	}
	if c := n[0]; c != '-' && (c < '0' || c > '9') {
		return 0, fault.Field(fault.InvalidParameter, "arguments.n", "n must be a number.")
	}
	value, err := tasks.ParseNumber("n", string(n))
	if err != nil {
		return 0, fault.Field(fault.InvalidParameter, "arguments.n", "%s", fault.From(err).Detail)
	}
	return value, nil
}

// Large reports whether the job takes so long that small ones should not wait
// for it.
func (s Spec) Large() bool {
	const digits = 1_000_000
	if s.Task == Fibonacci {
		return bigdec.FibonacciDigits(s.N) > digits
	}
	return bigdec.FactorialDigits(s.N) > digits
}
