package intake

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
)

const (
	// noConfigEtag is the etag that APM Server gives to an empty
	// configuration. Pharos has no central configuration: agents are set by
	// environment variables. They ask all the same, and an error answer would
	// be logged by each of them every few minutes.
	noConfigEtag = "-"

	configCacheControl = "max-age=30, must-revalidate"
	errorCacheControl  = "max-age=300, must-revalidate"

	maxConfigQuery = 64 << 10
)

var errNoServiceName = errors.New("service.name is required")

type configQuery struct {
	Service struct {
		Name string `json:"name"`
	} `json:"service"`
}

func (in *Intake) agentConfig(c *gin.Context) {
	name, err := configService(c)
	if err == nil && name == "" {
		err = errNoServiceName
	}
	if err != nil {
		httpserver.LogFault(c, err)
		c.Header("Cache-Control", errorCacheControl)
		closeAfter(c)
		c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
		return
	}
	c.Header("Cache-Control", configCacheControl)
	c.Header("Etag", `"`+noConfigEtag+`"`)
	if etagOf(c) == noConfigEtag {
		c.Status(http.StatusNotModified)
		return
	}
	c.JSON(http.StatusOK, gin.H{})
}

func configService(c *gin.Context) (string, error) {
	if c.Request.Method != http.MethodPost {
		return c.Query("service.name"), nil
	}
	body, err := newBody(c.Request, maxConfigQuery)
	if err != nil {
		return "", err
	}
	var query configQuery
	if err := json.NewDecoder(body).Decode(&query); err != nil {
		if body.err != nil {
			return "", body.err
		}
		return "", errors.New("invalid query: the body is not a JSON object with service.name")
	}
	return query.Service.Name, nil
}

func etagOf(c *gin.Context) string {
	if h := c.GetHeader("If-None-Match"); h != "" {
		return strings.ReplaceAll(h, `"`, "")
	}
	return c.Query("ifnonematch")
}
