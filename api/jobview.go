package api

import (
	"strconv"
	"time"

	"pharos/jobs"
)

// jobView is what pages/job.html shows: how far a job is, what came of it, or
// what is wrong.
type jobView struct {
	Title, Name, Heading string // Name is the task's
	Trouble              *troubleView
	Ended                bool
	State                jobs.State
	Says                 string // what the state means, in a sentence
	Percent              int
	Elapsed              string
	Cancel               string // where the form for it goes; "" once it has ended
	Result               *jobResultView
	Again                *againView // for one that gave no result
}

type jobResultView struct {
	Numbers []excerptView
	URL     string
	Size    string    // of the file
	Packed  string    // of what goes over the wire
	Expires time.Time // UTC
	Left    string    // until then
}

type excerptView struct {
	ID, Label   string
	First, Last string // Last is "" where First is all of it
	Digits      uint64
}

// againView is the form that makes the job once more, and the offer to make it
// in the first place.
type againView struct {
	Path, N string
}

func (p *jobPages) view(j jobs.Job) jobView {
	args := []uint64{j.N}
	view := jobView{Name: j.Task, State: j.State, Ended: j.State.Ended(), Percent: int(100 * j.Progress)}
	end := p.now()
	if view.Ended {
		end = j.FinishedAt
	}
	view.Elapsed = seconds(max(end.Sub(j.CreatedAt), 0))
	switch j.State {
	case jobs.Queued:
		view.Says = "Waits for a worker. Jobs of signed-in users go first."
	case jobs.Running:
		view.Says = map[string]string{"starting": "Starting.", "computing": "Computing the number.", "writing": "Writing out its digits."}[j.Doing]
	case jobs.Failed:
		view.Says = j.Detail
	case jobs.Cancelled:
		view.Says = "It was cancelled. Nothing is kept of it."
	case jobs.Done:
	}
	for _, t := range p.tasks.tasks {
		if t.name != j.Task {
			continue
		}
		view.Heading = t.value(args)
		switch {
		case j.State == jobs.Done:
			view.Result = p.resultView(j, t)
		case view.Ended:
			view.Again = &againView{t.path(), strconv.FormatUint(j.N, 10)}
		default:
			view.Cancel = jobPagePath(j.ID) + "/cancellation"
		}
	}
	view.Title = string(j.State) + ": " + view.Heading + " · Pharos"
	return view
}

func (p *jobPages) resultView(j jobs.Job, t task) *jobResultView {
	args := []uint64{j.N}
	view := &jobResultView{
		URL: jobPagePath(j.ID) + "/result", Size: megabytes(int64(j.Result.Value.Digits + j.Result.Sum.Digits)), Packed: megabytes(j.Result.Bytes), Expires: j.ExpiresAt.UTC(),
		Left:    minutes(j.ExpiresAt.Sub(p.now())),
		Numbers: []excerptView{newExcerptView("value", t.value(args), j.Result.Value)},
	}
	if t.sum != nil {
		view.Numbers = append(view.Numbers, newExcerptView("sum", t.sum(args), j.Result.Sum))
	}
	return view
}

func newExcerptView(id, label string, e jobs.Excerpt) excerptView {
	view := excerptView{ID: id, Label: label, First: e.First, Last: e.Last, Digits: uint64(max(e.Digits, 0))}
	if len(e.First) == e.Digits {
		view.Last = ""
	}
	return view
}

// megabytes writes a size with three significant digits and its unit.
func megabytes(n int64) string {
	unit, x := "kB", float64(n)/1e3
	if x >= 1000 {
		unit, x = "MB", x/1e3
	}
	return strconv.FormatFloat(x, 'f', max(0, 3-len(strconv.Itoa(int(x)))), 64) + " " + unit
}

func minutes(d time.Duration) string {
	n := max(int(d.Round(time.Minute)/time.Minute), 1)
	return strconv.Itoa(n) + " min"
}
