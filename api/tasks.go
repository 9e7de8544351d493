package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2"

	"pharos/funcmetrics"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/jobs"
	"pharos/tasks"
)

// task is what there is to know of a task at the edge: its parameters, how it
// is computed and how its results are called.
type task struct {
	name    string // also the last segment of its path
	heading string
	params  []string // n is the last one
	example []uint64
	compute func(ctx context.Context, args []uint64) (tasks.Answer, error)
	// value and sum name the numbers of an answer; sum is nil for a task
	// without one.
	value, sum func(args []uint64) string
	// largest is the largest n that goes with the other arguments.
	largest func(args []uint64) uint64
}

// exampleText is the example with its value, where the limits allow it.
func (t task) exampleText(ctx context.Context) string {
	answer, err := t.compute(ctx, t.example)
	if err != nil {
		return t.value(t.example)
	}
	return t.value(t.example) + " = " + answer.Value
}

func (t task) path() string { return "/tasks/" + t.name }

func (t task) url(args []uint64) string {
	var query strings.Builder
	for i, name := range t.params {
		fmt.Fprintf(&query, "&%s=%d", name, args[i])
	}
	return t.path() + "?" + query.String()[1:]
}

// taskHandlers answer the main page and the tasks: with a page to a browser,
// with JSON to a program.
type taskHandlers struct {
	limits  tasks.Limits
	offered jobs.GuestConfig // what a page offers to compute as a job
	pages   *pages
	tasks   []task
}

// newTaskHandlers returns the handlers of tasks within the given limits, whose
// pages offer jobs for what is beyond them. Its error names the limit that
// makes no sense.
func newTaskHandlers(limits tasks.Limits, offered jobs.GuestConfig, rec *funcmetrics.Recorder) (*taskHandlers, error) {
	calculator, err := tasks.New(limits)
	if err != nil {
		return nil, err
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	fibonacci := task{
		name: "fibonacci", heading: "Fibonacci", params: []string{"n"}, example: []uint64{90},
		compute: func(ctx context.Context, args []uint64) (tasks.Answer, error) {
			return calculator.Fibonacci(ctx, args[0])
		},
		value:   func(args []uint64) string { return fmt.Sprintf("F(%d)", args[0]) },
		sum:     fibonacciSum,
		largest: func([]uint64) uint64 { return limits.FibonacciMaxN },
	}
	factorial := task{
		name: "factorial", heading: "Factorial", params: []string{"n"}, example: []uint64{20},
		compute: func(ctx context.Context, args []uint64) (tasks.Answer, error) {
			return calculator.Factorial(ctx, args[0])
		},
		value:   func(args []uint64) string { return fmt.Sprintf("%d!", args[0]) },
		largest: func([]uint64) uint64 { return limits.FactorialMaxN },
	}
	ackermann := task{
		name: "ackermann", heading: "Ackermann", params: []string{"m", "n"}, example: []uint64{2, 3},
		compute: func(ctx context.Context, args []uint64) (tasks.Answer, error) {
			return calculator.Ackermann(ctx, args[0], args[1])
		},
		value: func(args []uint64) string { return fmt.Sprintf("A(%d, %d)", args[0], args[1]) },
		largest: func(args []uint64) uint64 {
			n, _ := limits.LargestAckermannN(args[0])
			return n
		},
	}
	all := []task{fibonacci, factorial, ackermann}
	for i := range all {
		all[i].compute = funcmetrics.Wrap(rec, "tasks."+all[i].name, all[i].compute)
	}
	return &taskHandlers{limits: limits, offered: offered, pages: pages, tasks: all}, nil
}

// register adds the main page, the tasks and the pages' assets to r.
func (h *taskHandlers) register(r gin.IRoutes) {
	r.GET("/", h.index)
	for _, t := range h.tasks {
		r.GET(t.path(), h.serve(t))
	}
	r.GET("/static/*filepath", h.pages.assets.Serve)
}

func fibonacciSum(args []uint64) string {
	switch n := args[0]; n {
	case 0:
		return "Sum F(0)"
	case 1:
		return "Sum F(0) + F(1)"
	default:
		return fmt.Sprintf("Sum F(0) + … + F(%d)", n)
	}
}

// taskJSON is the answer to a program. Numbers of any size are strings, since
// most readers of JSON keep only 53 bits.
type taskJSON struct {
	Task  string  `json:"task"`
	M     *uint64 `json:"m,omitempty"`
	N     uint64  `json:"n"`
	Value string  `json:"value"`
	Sum   string  `json:"sum,omitempty"`
}

func (h *taskHandlers) serve(t task) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Writer.Header().Add("Vary", "Accept")
		c.Header("Cache-Control", "no-cache")
		page := prefersPage(accept(c))
		if page && c.Request.URL.RawQuery == "" {
			h.pages.render(c, http.StatusOK, t.name, h.taskView(c, t, t.example))
			return
		}
		args, err := readNumbers(c.Request.URL.RawQuery, t.params)
		if err != nil {
			h.refuse(c, t, page, err)
			return
		}
		answer, err := compute(c.Request.Context(), t, args)
		switch {
		case err != nil:
			h.refuse(c, t, page, err)
		case page:
			h.pages.render(c, http.StatusOK, t.name, h.resultView(c, t, args, answer))
		default:
			body := taskJSON{Task: t.name, N: args[len(args)-1], Value: answer.Value, Sum: answer.Sum}
			if len(args) > 1 {
				body.M = &args[0]
			}
			c.JSON(http.StatusOK, body)
		}
	}
}

func compute(ctx context.Context, t task, args []uint64) (tasks.Answer, error) {
	span, ctx := apm.StartSpan(ctx, "compute "+t.name, "app")
	defer span.End()
	answer, err := t.compute(ctx, args)
	if err != nil {
		return answer, fmt.Errorf("compute %s: %w", t.name, err)
	}
	return answer, nil
}

// refuse answers with err: as problem+json to a program, as the task's page
// with the words beside the field to a browser.
func (h *taskHandlers) refuse(c *gin.Context, t task, page bool, err error) {
	if !page {
		httpserver.Problem(c, err)
		return
	}
	f := fault.From(err)
	h.sayFault(c, f, err)
	h.pages.render(c, f.Status(), t.name, h.errorView(c, t, f))
}

// sayFault says f by headers, and err to the log and the trace.
func (h *taskHandlers) sayFault(c *gin.Context, f *fault.Error, err error) {
	httpserver.LogFault(c, err)
	httpserver.SetProblemHeaders(c, f)
	if f.Status() >= http.StatusInternalServerError {
		if e := apm.CaptureError(c.Request.Context(), err); e != nil {
			e.Send()
		}
	}
}

// index answers the main page. Only a client that asks for JSON gets JSON.
func (h *taskHandlers) index(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Accept")
	c.Header("Cache-Control", "no-cache")
	if !prefersJSON(accept(c)) {
		h.pages.render(c, http.StatusOK, "index", h.indexView(c))
		return
	}
	type entry struct {
		Task       string   `json:"task"`
		Parameters []string `json:"parameters"`
		Example    string   `json:"example"`
	}
	list := make([]entry, 0, len(h.tasks))
	for _, t := range h.tasks {
		list = append(list, entry{t.name, t.params, t.url(t.example)})
	}
	c.JSON(http.StatusOK, gin.H{"tasks": list})
}

func accept(c *gin.Context) string {
	return strings.Join(c.Request.Header.Values("Accept"), ",")
}

// readNumbers reads exactly the named parameters from a query, each given
// once. Its errors are fault.InvalidParameter.
func readNumbers(query string, names []string) ([]uint64, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fault.New(fault.InvalidParameter, "The query cannot be read: it is not properly encoded.")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, name) {
			name = shortened(name)
			return nil, fault.Field(fault.InvalidParameter, name,
				"There is no parameter %q here; this task takes %s.", name, strings.Join(names, " and "))
		}
	}
	numbers := make([]uint64, 0, len(names))
	for _, name := range names {
		given := values[name]
		switch len(given) {
		case 0:
			return nil, fault.Field(fault.InvalidParameter, name,
				"%s is missing; it must be a whole number, 0 or more.", name)
		case 1:
		default:
			return nil, fault.Field(fault.InvalidParameter, name, "%s is given %d times; give it once.", name, len(given))
		}
		n, err := tasks.ParseNumber(name, given[0])
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// shortened bounds what of a client's text is said back.
func shortened(text string) string {
	const most = 40
	text = strings.ToValidUTF8(text, "\uFFFD")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
