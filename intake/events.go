package intake

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/elastic/apm-data/input/elasticapm"
	"github.com/elastic/apm-data/model/modelpb"
	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
)

// batchSize is how many events are decoded before they are queued together;
// APM Server's number.
const batchSize = 10

const ndjson = "application/x-ndjson"

// events reads a stream: a line of metadata, then a line for each event. Good
// lines are accepted though others are bad; the answer tells how many, and
// what was wrong with the first few.
func (in *Intake) events(c *gin.Context) {
	var result elasticapm.Result
	err := in.readStream(c, &result)
	in.metrics.stream(&result, err)
	in.answer(c, &result, err)
}

func (in *Intake) readStream(c *gin.Context, result *elasticapm.Result) error {
	if ct := c.GetHeader("Content-Type"); ct != "" && !strings.Contains(ct, ndjson) {
		return fmt.Errorf("%w: '%.100s'", errContentType, ct)
	}
	defer in.endReadingOnStop(c)()
	stream, err := newBody(c.Request, in.cfg.MaxRequestSize)
	if err != nil {
		return in.streamError(err)
	}
	err = in.processor.HandleStream(c.Request.Context(), baseEvent(c), stream, batchSize, in.batch, result)
	if err != nil && stream.err != nil {
		err = stream.err // apm-data hides it where the metadata could not be read
	}
	return in.streamError(err)
}

// endReadingOnStop unblocks the stream's reading when the process is about to
// stop. The function that it returns ends that.
func (in *Intake) endReadingOnStop(c *gin.Context) func() {
	conn := http.NewResponseController(c.Writer)
	cancel := context.AfterFunc(in.stopping, func() {
		// The only error is that the connection can't do it, as in tests
		// without one; then the read timeout ends the stream.
		_ = conn.SetReadDeadline(time.Now())
	})
	return func() { cancel() }
}

// baseEvent is what every event of the stream has, unless it says otherwise.
func baseEvent(c *gin.Context) *modelpb.APMEvent {
	e := &modelpb.APMEvent{Timestamp: modelpb.FromTime(time.Now())}
	if ip, err := modelpb.ParseIP(c.ClientIP()); err == nil {
		e.Host = &modelpb.Host{Ip: []*modelpb.IP{ip}}
	}
	return e
}

func (in *Intake) answer(c *gin.Context, result *elasticapm.Result, streamErr error) {
	answer, status := newAnswer(result, streamErr)
	if err := answer.logged(); err != nil {
		httpserver.LogFault(c, err)
	}
	if status >= http.StatusBadRequest {
		closeAfter(c)
		c.JSON(status, answer)
		return
	}
	if _, verbose := c.GetQuery("verbose"); verbose {
		c.JSON(status, answer)
		return
	}
	c.Status(status)
}
