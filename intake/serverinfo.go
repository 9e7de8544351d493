package intake

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// serverVersion is the APM Server whose API this is. From 8.0 on, agents don't
// send unsampled transactions.
const serverVersion = "8.19.0"

type serverInfo struct {
	Version      string `json:"version"`
	BuildSHA     string `json:"build_sha"`
	PublishReady bool   `json:"publish_ready"` // whether Elasticsearch takes documents
}

// serverInfo answers 200 to everyone, so that load balancers can use it, but
// tells only agents with the token what runs here.
func (in *Intake) serverInfo(c *gin.Context) {
	if in.authenticate(c.Request) != nil {
		c.Status(http.StatusOK)
		return
	}
	c.JSON(http.StatusOK, serverInfo{
		Version:      serverVersion,
		BuildSHA:     in.version,
		PublishReady: in.queue.delivery.blockedBy() == nil,
	})
}
