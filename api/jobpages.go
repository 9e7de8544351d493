package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/attempts"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/jobs"
)

// GuestJobs makes jobs for browsers that nobody is signed in with. They have
// them by [jobs.GuestOwner].
type GuestJobs interface {
	Submit(ctx context.Context, from jobs.Guest, traceparent string, spec jobs.Spec) (jobs.Job, error)
}

// jobPages let a browser have numbers computed that are too large to wait for:
// a form on the task's page makes a job, which has a page of its own. They need
// no script and no sign-in.
type jobPages struct {
	jobs   Jobs
	guests GuestJobs
	tokens *TokenKeys
	tasks  *taskHandlers
	now    func() time.Time
	// crossOrigin refuses forms of other sites by Sec-Fetch-Site and Origin.
	crossOrigin *http.CrossOriginProtection
}

// register adds the routes to r.
func (p *jobPages) register(r gin.IRoutes) {
	for _, t := range p.tasks.tasks {
		if p.tasks.offered.MaxN(t.name) > 0 {
			r.POST(t.path(), p.ownFormsOnly(t), p.submit(t))
		}
	}
	r.GET("/tasks/jobs/:id", p.show)
	r.POST("/tasks/jobs/:id/cancellation", p.ownFormsOnly(task{}), p.cancel)
	r.GET("/tasks/jobs/:id/result", p.result)
}

// ownFormsOnly refuses a form that another site has sent; t is the task whose
// page says so, or none.
func (p *jobPages) ownFormsOnly(t task) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := p.crossOrigin.Check(c.Request); err != nil {
			p.refuse(c, t, fmt.Errorf("check origin of form: %w: %w", fault.New(fault.Forbidden, "This form was sent by another site. Send it from here."), err))
			c.Abort()
		}
	}
}

const maxForm = 4 << 10

func (p *jobPages) submit(t task) gin.HandlerFunc {
	return func(c *gin.Context) {
		args, err := readForm(c, t)
		if err != nil {
			p.refuse(c, t, err)
			return
		}
		browser := p.tokens.browserID(c)
		if browser == "" {
			if browser, err = newBrowserID(); err != nil {
				p.refuse(c, t, err)
				return
			}
		}
		ctx := c.Request.Context()
		from := jobs.Guest{Browser: browser, Address: attempts.Network(c.ClientIP())}
		j, err := p.guests.Submit(ctx, from, traceparent(ctx), jobs.Spec{Task: t.name, N: args[0]})
		if err == nil {
			err = p.tokens.setBrowser(c, browser)
		}
		if err != nil {
			p.refuse(c, t, fmt.Errorf("submit job: %w", jobFault(err)))
			return
		}
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusSeeOther, jobPagePath(j.ID))
	}
}

// readForm reads the task's parameters from the body of a form.
func readForm(c *gin.Context, t task) ([]uint64, error) {
	if mt, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxForm))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fault.New(fault.BodyTooLarge, "The body may have at most %d bytes.", tooLarge.Limit)
		}
		return nil, fault.New(fault.MalformedBody, "The body could not be read.")
	}
	return readNumbers(string(body), t.params)
}

func jobPagePath(id string) string { return "/tasks/jobs/" + id }

func (p *jobPages) show(c *gin.Context) {
	j, err := p.jobs.Get(c.Request.Context(), p.owner(c), c.Param("id"))
	if err != nil {
		p.refuse(c, task{}, fmt.Errorf("get job: %w", jobFault(err)))
		return
	}
	c.Header("Cache-Control", "private, no-store")
	p.tasks.pages.render(c, http.StatusOK, "job", p.view(j))
}

func (p *jobPages) cancel(c *gin.Context) {
	id := c.Param("id")
	// A job that has ended meanwhile has a page that says how.
	if err := p.jobs.Cancel(c.Request.Context(), p.owner(c), id); err != nil && !fault.Is(err, fault.Conflict) {
		p.refuse(c, task{}, fmt.Errorf("cancel job: %w", jobFault(err)))
		return
	}
	c.Redirect(http.StatusSeeOther, jobPagePath(id))
}

func (p *jobPages) result(c *gin.Context) {
	j, err := p.jobs.Get(c.Request.Context(), p.owner(c), c.Param("id"))
	if err != nil {
		p.refuse(c, task{}, fmt.Errorf("get job: %w", jobFault(err)))
		return
	}
	if j.State == jobs.Done {
		c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.json"`, j.Task, j.N))
	}
	newJobHandlers(p.jobs, jobs.Limits{}, p.owner).result(c)
}

func (p *jobPages) owner(c *gin.Context) string {
	if id := p.tokens.browserID(c); id != "" {
		return jobs.GuestOwner(id)
	}
	return ""
}

// refuse answers with a page that says what is wrong: that of the task, or one
// for a job.
func (p *jobPages) refuse(c *gin.Context, t task, err error) {
	if t.name != "" {
		p.tasks.refuse(c, t, true, err)
		return
	}
	f := fault.From(err)
	if f.Code == fault.NotFound {
		f = fault.New(fault.NotFound, "This browser has no such job, or it has been forgotten.")
	}
	p.tasks.sayFault(c, f, err)
	view := jobView{Title: "Error: job · Pharos", Heading: "Job", Ended: true, Trouble: &troubleView{Detail: f.Detail}}
	if f.Status() >= http.StatusInternalServerError {
		view.Trouble.TraceID = httpserver.TraceID(c)
	}
	p.tasks.pages.render(c, f.Status(), "job", view)
}
