package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/funcmetrics"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// Functions answers what is known of the measured functions.
type Functions interface {
	List(ctx context.Context, in funcmetrics.Range) ([]funcmetrics.Function, error)
	Get(ctx context.Context, name string, in funcmetrics.Range) (funcmetrics.Function, error)
}

// functionHandlers answer how often functions were called, how often they
// failed and how long they took.
type functionHandlers struct{ functions Functions }

func newFunctionHandlers(f Functions) *functionHandlers { return &functionHandlers{f} }

// register adds the routes to r, whose middleware decides who may ask.
func (h *functionHandlers) register(r gin.IRoutes) {
	r.GET("/functions", h.list)
	r.GET("/functions/:func_name", h.get)
}

func (h *functionHandlers) list(c *gin.Context) {
	in, err := timeRange(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	items, err := h.functions.List(c.Request.Context(), in)
	h.answer(c, gin.H{"items": items}, err)
}

func (h *functionHandlers) get(c *gin.Context) {
	in, err := timeRange(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	f, err := h.functions.Get(c.Request.Context(), c.Param("func_name"), in)
	h.answer(c, f, err)
}

func (h *functionHandlers) answer(c *gin.Context, body any, err error) {
	switch {
	case err == nil:
		c.Header("Cache-Control", "no-store")
		c.JSON(http.StatusOK, body)
	case fault.Is(err, fault.NotFound):
		httpserver.Problem(c, err)
	default:
		away := fault.New(fault.Unavailable, "The function metrics can't be read now.")
		away.RetryAfter = 5 * time.Second
		httpserver.Problem(c, fmt.Errorf("%w: %w", err, away))
	}
}

// timeRange reads from (included) and to (excluded), both optional.
func timeRange(c *gin.Context) (funcmetrics.Range, error) {
	in := funcmetrics.Always()
	for name, values := range c.Request.URL.Query() {
		if name != "from" && name != "to" {
			return in, fault.Field(fault.InvalidParameter, shortened(name), "There is no parameter of this name; from and to are.")
		}
		if len(values) > 1 {
			return in, fault.Field(fault.InvalidParameter, name, "%s is given more than once.", name)
		}
		at, err := time.Parse(time.RFC3339, values[0])
		if err != nil {
			return in, fault.Field(fault.InvalidParameter, name, "%s must be a time as of RFC 3339, such as 2026-07-01T12:00:00Z.", name)
		}
		if one := funcmetrics.RangeOf(at, at); name == "from" {
			in.From = one.From
		} else {
			in.To = one.To
		}
	}
	if in.To != math.MaxInt64 && in.From >= in.To {
		return in, fault.Field(fault.InvalidParameter, "to", "to must be at least a second later than from.")
	}
	return in, nil
}
