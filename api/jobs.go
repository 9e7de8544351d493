package api

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/jobs"
)

// Jobs is what users do with long tasks.
type Jobs interface {
	Submit(ctx context.Context, owner, traceparent string, spec jobs.Spec) (jobs.Job, error)
	Get(ctx context.Context, owner, id string) (jobs.Job, error)
	Cancel(ctx context.Context, owner, id string) error
	Result(ctx context.Context, owner, id string) (jobs.Job, io.Reader, error)
}

// jobHandlers answer for long tasks, each of which belongs to the user who
// made it.
type jobHandlers struct {
	jobs   Jobs
	limits jobs.Limits
	user   func(*gin.Context) string
}

// newJobHandlers returns the handlers; user gives the id of the signed-in user
// of a request.
func newJobHandlers(j Jobs, limits jobs.Limits, user func(*gin.Context) string) *jobHandlers {
	return &jobHandlers{j, limits, user}
}

// register adds the routes to r, whose middleware has signed the user in.
func (h *jobHandlers) register(r gin.IRoutes) {
	r.POST("/jobs", h.submit)
	r.GET("/jobs/:id", h.get)
	r.DELETE("/jobs/:id", h.cancel)
	r.GET("/jobs/:id/result", h.result)
}

const maxJobBody = 16 << 10

type newJob struct {
	Task      string          `json:"task"`
	Arguments json.RawMessage `json:"arguments"`
}

// jobJSON is a job as its owner sees it. What it has not yet is left out.
type jobJSON struct {
	ID         string       `json:"id"`
	Task       string       `json:"task"`
	Arguments  jobArguments `json:"arguments"`
	State      jobs.State   `json:"state"`
	Progress   float64      `json:"progress"` // 0 to 1
	Doing      string       `json:"doing,omitempty"`
	Detail     string       `json:"detail,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
	ExpiresAt  time.Time    `json:"expires_at,omitzero"`
	Digits     int          `json:"digits,omitempty"` // of the value
	Result     string       `json:"result,omitempty"` // where it is
}

type jobArguments struct {
	N uint64 `json:"n"`
}

func jobPath(id string) string { return "/v1/jobs/" + id }

func viewOf(j jobs.Job) jobJSON {
	out := jobJSON{
		ID: j.ID, Task: j.Task, Arguments: jobArguments{j.N}, State: j.State, Progress: j.Progress, Doing: j.Doing, Detail: j.Detail,
		CreatedAt: j.CreatedAt.UTC(), StartedAt: j.StartedAt.UTC(), FinishedAt: j.FinishedAt.UTC(), ExpiresAt: j.ExpiresAt.UTC(),
		Digits: j.Result.Value.Digits,
	}
	if j.State == jobs.Done {
		out.Result = jobPath(j.ID) + "/result"
	}
	return out
}

func (h *jobHandlers) submit(c *gin.Context) {
	var in newJob
	if err := httpserver.DecodeJSON(c, &in, maxJobBody); err != nil {
		httpserver.Problem(c, err)
		return
	}
	spec, err := h.limits.Parse(in.Task, in.Arguments)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	ctx := c.Request.Context()
	j, err := h.jobs.Submit(ctx, h.user(c), traceparent(ctx), spec)
	if err != nil {
		h.problem(c, "submit job", err)
		return
	}
	c.Header("Location", jobPath(j.ID))
	c.JSON(http.StatusAccepted, viewOf(j))
}

// traceparent is the trace that a job goes on with, "" without one.
func traceparent(ctx context.Context) string {
	if tx := apm.TransactionFromContext(ctx); tx != nil {
		return apmhttp.FormatTraceparentHeader(tx.TraceContext())
	}
	return ""
}

func (h *jobHandlers) get(c *gin.Context) {
	j, err := h.jobs.Get(c.Request.Context(), h.user(c), c.Param("id"))
	if err != nil {
		h.problem(c, "get job", err)
		return
	}
	c.Header("Cache-Control", "private, no-store")
	c.JSON(http.StatusOK, viewOf(j))
}

func (h *jobHandlers) cancel(c *gin.Context) {
	if err := h.jobs.Cancel(c.Request.Context(), h.user(c), c.Param("id")); err != nil {
		h.problem(c, "cancel job", err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (h *jobHandlers) problem(c *gin.Context, doing string, err error) {
	httpserver.Problem(c, fmt.Errorf("%s: %w", doing, jobFault(err)))
}

// jobFault has what the user may know in its chain: a fault, or that a store is
// away.
func jobFault(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	f = fault.New(fault.Unavailable, "Jobs can't be reached now.")
	f.RetryAfter = 5 * time.Second
	return fmt.Errorf("%w: %w", err, f)
}

const (
	// A result may take longer than a request otherwise: so long altogether, and
	// so long for each part that the client takes.
	resultTimeout = 10 * time.Minute
	partTimeout   = 30 * time.Second
	partSize      = 256 << 10
)

// result streams a result: as it is kept to a client that takes gzip,
// unpacked to any other.
func (h *jobHandlers) result(c *gin.Context) {
	// Not ended by the request's deadline; when the client goes away, writing
	// fails.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), resultTimeout)
	defer cancel()
	j, kept, err := h.jobs.Result(ctx, h.user(c), c.Param("id"))
	if err != nil {
		h.problem(c, "get result", err)
		return
	}
	// What can't be read at all is answered with a problem, not half a result.
	body := bufio.NewReaderSize(kept, partSize)
	if _, err := body.Peek(1); err != nil {
		h.problem(c, "get result", err)
		return
	}
	c.Header("Content-Type", "application/json; charset=utf-8")
	c.Header("Cache-Control", "private, no-store")
	c.Writer.Header().Add("Vary", "Accept-Encoding")
	source := io.Reader(body)
	if acceptsGzip(c.Request.Header.Values("Accept-Encoding")) {
		c.Header("Content-Encoding", "gzip")
		c.Header("Content-Length", strconv.FormatInt(j.Result.Bytes, 10))
	} else if source, err = gzip.NewReader(body); err != nil {
		h.problem(c, "get result", err)
		return
	}
	c.Status(http.StatusOK)
	if err := stream(c.Writer, source); err != nil {
		httpserver.LogFault(c, fmt.Errorf("stream result: %w", err))
		// The client must not take a part for the whole: with no time left, the
		// answer can't be ended properly.
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Unix(1, 0))
		c.Abort()
	}
}

func stream(w http.ResponseWriter, from io.Reader) error {
	_, err := io.CopyBuffer(partWriter{w, http.NewResponseController(w)}, from, make([]byte, partSize))
	return err
}

// partWriter gives the client some time for each part.
type partWriter struct {
	io.Writer
	control *http.ResponseController
}

// Write implements io.Writer.
func (p partWriter) Write(b []byte) (int, error) {
	// A writer without deadlines is one of a test.
	if err := p.control.SetWriteDeadline(time.Now().Add(partTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.Writer.Write(b)
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(headers []string) bool {
	rest := false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		// The form of an encoding with parameters is that of a media type.
		coding, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch coding {
		case "gzip", "x-gzip":
			return quality(params) > 0
		case "*":
			rest = quality(params) > 0
		}
	}
	return rest
}
