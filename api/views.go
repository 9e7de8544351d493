package api

import (
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/tasks"
)

// indexView is what pages/index.html shows.
type indexView struct {
	Title, Name string
	Tasks       []taskView
	Commands    []commandView
}

// taskView is what pages/task.html shows: the form, and a result or what is
// wrong.
type taskView struct {
	Title, Name, Heading, Path string
	Fields                     []fieldView
	Limits                     tasks.Limits
	Largest                    uint64 // n, for a task of one parameter
	LargestJob                 uint64 // n of a job, 0 where there are none
	Offer                      *againView
	Example                    linkView
	Command                    commandView
	Trouble                    *troubleView
	Result                     *resultView
}

type fieldView struct {
	ID, Name, Label, Value string
	Error                  string
	Narrow                 bool
}

type linkView struct{ Label, URL string }

// commandView is a line for a shell.
type commandView struct{ ID, Line string }

// troubleView is an error that belongs to no field.
type troubleView struct{ Detail, TraceID string }

type resultView struct {
	Numbers        []numberView
	Previous, Next *linkView
	Took           string
}

type numberView struct {
	ID, Label, Digits string
	Count             uint64
	Scrolls           bool
}

// scrollDigits is the size from which a number's box may be higher than it
// shows, so that the keyboard must be able to reach and scroll it.
const scrollDigits = 500

func (h *taskHandlers) indexView(c *gin.Context) indexView {
	view := indexView{Title: "Pharos: exact numbers of any size"}
	for _, t := range h.tasks {
		form := h.taskView(c, t, t.example)
		form.Example.Label = t.exampleText(c.Request.Context())
		view.Tasks = append(view.Tasks, form)
		view.Commands = append(view.Commands, form.Command)
	}
	return view
}

// taskView is the page with the form as it was sent and a command that computes
// args.
func (h *taskHandlers) taskView(c *gin.Context, t task, args []uint64) taskView {
	view := taskView{
		Title: t.heading + " · Pharos", Name: t.name, Heading: t.heading, Path: t.path(),
		Limits:  h.limits,
		Example: linkView{t.value(t.example), t.url(t.example)},
		Command: commandView{"command-" + t.name, "curl '" + origin(c) + t.url(args) + "'"},
	}
	if len(t.params) == 1 {
		view.Largest = t.largest(args)
		if most := h.offered.MaxN(t.name); most > view.Largest {
			view.LargestJob = most
		}
	}
	for i, name := range t.params {
		view.Fields = append(view.Fields, fieldView{
			ID: t.name + "-" + name, Name: name, Label: name,
			Value: sent(c, name), Narrow: i < len(t.params)-1,
		})
	}
	return view
}

// sent is what the user gave for a field, to be put back into it. A text of
// absurd length is not: the words of its error say how long it was.
func sent(c *gin.Context, name string) string {
	const longest = 100
	if text := c.Query(name); len(text) <= longest {
		return text
	}
	return ""
}

func (h *taskHandlers) errorView(c *gin.Context, t task, f *fault.Error) taskView {
	view := h.taskView(c, t, t.example)
	view.Title = "Error: " + view.Title
	if n, err := tasks.ParseNumber("n", sent(c, "n")); f.Code == fault.LimitExceeded && err == nil && n > view.Largest && n <= view.LargestJob {
		view.Offer = &againView{t.path(), sent(c, "n")}
	}
	beside := false
	for i := range view.Fields {
		field := &view.Fields[i]
		if field.Name == f.Field {
			field.Error, beside = f.Detail, true
		}
	}
	if !beside {
		view.Trouble = &troubleView{Detail: f.Detail}
		if f.Status() >= 500 {
			view.Trouble.TraceID = httpserver.TraceID(c)
		}
	}
	return view
}

func (h *taskHandlers) resultView(c *gin.Context, t task, args []uint64, answer tasks.Answer) taskView {
	view := h.taskView(c, t, args)
	view.Title = t.value(args) + " · Pharos"
	result := &resultView{
		Numbers: []numberView{newNumberView("value", t.value(args), answer.Value)},
		Took:    seconds(answer.Took),
	}
	if t.sum != nil {
		result.Numbers = append(result.Numbers, newNumberView("sum", t.sum(args), answer.Sum))
	}
	last := len(args) - 1
	step := func(n uint64) *linkView {
		other := append(append([]uint64(nil), args[:last]...), n)
		return &linkView{t.value(other), t.url(other)}
	}
	if n := args[last]; n > 0 {
		result.Previous = step(n - 1)
	}
	if n := args[last]; n < t.largest(args) {
		result.Next = step(n + 1)
	}
	view.Result = result
	return view
}

func newNumberView(id, label, digits string) numberView {
	return numberView{id, label, digits, uint64(len(digits)), len(digits) > scrollDigits}
}

// scheme is what the client reached Pharos by.
func scheme(c *gin.Context) string {
	if c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// origin is the scheme and host that the client reached Pharos by, for the
// commands that a page shows. A host of odd characters is not put into a
// command that someone will paste into a shell.
func origin(c *gin.Context) string {
	host := c.Request.Host
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-:[]", r)
	}
	if host == "" || strings.ContainsFunc(host, odd) {
		host = "localhost"
	}
	return scheme(c) + "://" + host
}
