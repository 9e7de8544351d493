package intake

import (
	"slices"
	"strings"

	"github.com/elastic/apm-data/model/modelpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const redacted = "[REDACTED]"

// redact removes the values of headers, cookies, form fields and CGI variables
// that are likely to be secrets. Agents do it before they send, unless someone
// has set their sanitize_field_names to less; a trace is read by more people
// than a setting is reviewed by.
func redact(e *modelpb.APMEvent) {
	request := e.GetHttp().GetRequest()
	redactHeaders(request.GetHeaders())
	redactValues(request.GetCookies())
	redactValues(request.GetEnv())
	if form := request.GetBody().GetStructValue(); form != nil {
		for name := range form.Fields {
			if isSecret(name) {
				form.Fields[name] = structpb.NewStringValue(redacted)
			}
		}
	}
	redactHeaders(e.GetHttp().GetResponse().GetHeaders())
	redactHeaders(e.GetTransaction().GetMessage().GetHeaders())
	redactHeaders(e.GetSpan().GetMessage().GetHeaders())
}

func redactHeaders(headers []*modelpb.HTTPHeader) {
	for _, h := range headers {
		if isSecret(h.Key) {
			h.Value = []string{redacted}
		}
	}
}

func redactValues(values []*modelpb.KeyValue) {
	for _, v := range values {
		if isSecret(v.Key) {
			v.Value = structpb.NewStringValue(redacted)
		}
	}
}

// isSecret is the default of the agents' setting sanitize_field_names, and the
// two headers that hold cookies.
// https://github.com/elastic/apm/blob/main/specs/agents/sanitization.md
func isSecret(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains([]string{"password", "passwd", "pwd", "secret", "cookie", "set-cookie"}, name) || strings.HasSuffix(name, "key") {
		return true
	}
	return slices.ContainsFunc([]string{"token", "session", "credit", "card", "auth", "principal"}, func(part string) bool {
		return strings.Contains(name, part)
	})
}

// redactLabels does the same to OpenTelemetry's attributes for headers, which
// become labels: http.request.header.authorization and the like.
func redactLabels(e *modelpb.APMEvent) {
	for name, value := range e.Labels {
		header := strings.NewReplacer(".", "_", "-", "_").Replace(name)
		if i := strings.Index(header, "_header_"); i >= 0 && isSecret(header[i+len("_header_"):]) {
			value.Value, value.Values = redacted, nil
		}
	}
}
