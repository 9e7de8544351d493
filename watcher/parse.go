package watcher

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/painless"
)

// parser is what the parts of one watch need to be read.
type parser struct {
	ctx     context.Context
	engine  *Engine
	id      string // of the watch, named in errors
	compile bool   // ask Elasticsearch whether scripts are right
}

// program reads a script and, if asked to, has it compiled.
func (p *parser) program(path string, v any, returns painless.Returns) (*painless.Program, error) {
	script, err := painless.Parse(path, v)
	if err != nil {
		return nil, err
	}
	program := painless.NewProgram(script, returns)
	if !p.compile {
		return program, nil
	}
	if err := p.engine.scripts.Compile(p.ctx, program); err != nil {
		if _, ok := asAnswer(err); !ok {
			return nil, fmt.Errorf("compile script at %s: %w", path, err)
		}
		return nil, &document.PathError{Path: path, Err: err}
	}
	return program, nil
}

// subject begins the reasons of errors about one part of a watch.
type subject string

// at makes an error about what stands at a path.
func (s subject) at(path, format string, args ...any) *document.PathError {
	return &document.PathError{Path: path, Reason: string(s) + fmt.Sprintf(format, args...)}
}

// single is the one key of an object that names a type, with its value; missing
// says what is wrong where there is none or the value is no object.
func single(path string, v any, about subject, what, missing string) (kind string, body any, err error) {
	o, ok := v.(*document.Object)
	if !ok || o.Len() == 0 {
		return "", nil, about.at(path, "%s", missing)
	}
	for key, value := range o.All() {
		if kind != "" {
			return "", nil, about.at(document.Join(path, key), "unexpected second %s type [%s]", what, key)
		}
		kind, body = key, value
	}
	return kind, body, nil
}

// empty wants an empty object, as always, never and none have.
func empty(path string, v any, about subject) error {
	o, ok := v.(*document.Object)
	if !ok {
		return about.at(path, "expected an empty object but found [%s]", document.Token(v))
	}
	for key := range o.All() {
		return about.at(document.Join(path, key), "expected an empty object but found [%s]", key)
	}
	return nil
}

// period reads a time span such as "15m"; reason is what the error says before
// its cause, or nothing.
func period(path, field, reason string, v any) (time.Duration, error) {
	text, ok := v.(string)
	if !ok {
		return 0, &document.PathError{Path: path, Reason: reason, Err: document.NewError(400, "parse_exception",
			"could not parse time value. expected either a string or a null value but found ["+document.Token(v)+"] instead")}
	}
	r := fields.Read("", "", document.NewObject(document.Pair{Key: field, Value: text}))
	d, _ := r.Duration(field, field)
	if r.Done() != nil {
		cause := document.NewError(400, "parse_exception", "failed to parse time unit")
		cause.Object.Set("caused_by", document.NewError(400, "parse_exception",
			"Failed to parse setting ["+field+"] with value ["+text+"] as a time value: unit is missing or unrecognized").Object)
		return 0, &document.PathError{Path: path, Reason: reason, Err: cause}
	}
	return d, nil
}

// millis reads a time span in milliseconds: a whole number, or a string of one.
func millis(path string, v any) (time.Duration, error) {
	var n int64
	switch v := v.(type) {
	case int64:
		n = v
	case string:
		var err error
		if n, err = strconv.ParseInt(v, 10, 64); err != nil {
			return 0, &document.PathError{Path: path, Err: document.NewError(400, "illegal_argument_exception", fmt.Sprintf("For input string: %q", v))}
		}
	case *big.Int, float64:
		return 0, &document.PathError{Path: path, Err: document.NewError(400, "illegal_argument_exception", document.String(v)+" cannot be converted to Long without data loss")}
	default:
		return 0, &document.PathError{Path: path, Err: document.NewError(400, "illegal_argument_exception", "expected a whole number but found ["+document.Token(v)+"]")}
	}
	if n < -1 || n > int64(1<<63-1)/int64(time.Millisecond) {
		return 0, document.Errorf(path, "duration cannot be negative or longer than 292 years, was given [%d]", n)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// timeValue prints a time span as Elasticsearch's TimeValue does: in the largest
// unit that fits, with at most one digit after the point, cut off.
func timeValue(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= u.unit {
			tenths := int64(d) / (int64(u.unit) / 10)
			return strings.TrimSuffix(fmt.Sprintf("%d.%d", tenths/10, tenths%10), ".0") + u.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// hasSpace reports white space, which no id of a watch or action may have.
func hasSpace(id string) bool { return strings.ContainsAny(id, " \t\n\v\f\r\u0085\u00a0") }
