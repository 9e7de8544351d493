package api

import (
	"mime"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// takesJSON lets a request pass whose client takes application/json, or does not
// say what it takes.
func takesJSON(c *gin.Context) {
	if accept := accept(c); accept != "" && wish(accept, "application", "json").quality == 0 {
		httpserver.Problem(c, fault.Field(fault.NotAcceptable, "Accept", "The answer is application/json."))
	}
}

// prefersPage reports whether a client with the given Accept header (RFC 9110,
// section 12.5.1) would rather have a page than JSON. A client that wants both
// alike, or says nothing, is a program, unless it names text/html and not
// JSON: so a browser gets a page and curl gets JSON.
func prefersPage(accept string) bool {
	page, json := wish(accept, "text", "html"), wish(accept, "application", "json")
	if page.quality != json.quality {
		return page.quality > json.quality
	}
	return page.quality > 0 && page.exactness > json.exactness
}

// prefersJSON reports whether the client would rather have JSON than a page,
// and gives the doubt to the page.
func prefersJSON(accept string) bool {
	page, json := wish(accept, "text", "html"), wish(accept, "application", "json")
	if page.quality != json.quality {
		return json.quality > page.quality
	}
	return json.quality > 0 && json.exactness > page.exactness
}

// preference is how much a client wants a media type. Exactness is 3 for a
// type that it names, 2 for "type/*", 1 for "*/*", 0 for none of these; the
// most exact range decides the quality.
type preference struct {
	quality   float64
	exactness int
}

func wish(accept, major, minor string) preference {
	var best preference
	for part := range strings.SplitSeq(accept, ",") {
		mediaRange, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		exactness := 0
		switch mediaRange {
		case major + "/" + minor:
			exactness = 3
		case major + "/*":
			exactness = 2
		case "*/*":
			exactness = 1
		}
		if exactness > best.exactness {
			best = preference{quality(params), exactness}
		}
	}
	return best
}

func quality(params map[string]string) float64 {
	text, ok := params["q"]
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
