package fault

// ContentType is the media type of a Problem.
const ContentType = "application/problem+json"

// Problem is the wire form of an Error: a problem details object of RFC 9457.
//
//	{"type":"/problems/invalid-parameter","title":"…","status":400,
//	 "detail":"…","field":"n","request_id":"…","trace_id":"…"}
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
}

const typePrefix = "/problems/"

// Problem returns the wire form of e for the request with the given ids.
func (e *Error) Problem(requestID, traceID string) Problem {
	return Problem{
		Type: typePrefix + string(e.Code), Title: e.Title(), Status: e.Status(),
		Detail: e.Detail, Field: e.Field, RequestID: requestID, TraceID: traceID,
	}
}

// Fault returns the Error that p was made from, so that one service can pass
// on what another answered. A type that Pharos does not know gives Internal.
func (p Problem) Fault() *Error {
	if len(p.Type) > len(typePrefix) && p.Type[:len(typePrefix)] == typePrefix {
		code := Code(p.Type[len(typePrefix):])
		if _, ok := meanings[code]; ok {
			return &Error{Code: code, Detail: p.Detail, Field: p.Field}
		}
	}
	return New(Internal, "The request failed. Quote the trace_id when you report it.")
}
