package painless

import (
	"strings"

	"pharos/watcher/document"
)

// maxName is how much of an inline script's source names it in errors.
const maxName = 256

func shorten(source string) string {
	if len(source) <= maxName {
		return source
	}
	return strings.ToValidUTF8(source[:maxName], "") + " ..."
}

// translate makes an error about a wrapped script one about the script itself:
// its name, and the place in its own source. An error in what was put around it
// (a value that can't be written) is what caused it.
func translate(w wrapped, name string, e *document.Error) error {
	position, ok := document.At(e.Object, "position").(*document.Object)
	if e.Type() != "script_exception" || !ok {
		return e
	}
	e.Object.Set("script", name)
	place := func(key string) (int, bool) {
		n, _ := document.At(position, key).(int64)
		return w.offset(min(int(n), len(w.text)))
	}
	at, ok := place("offset")
	if !ok {
		cause, ok := document.At(e.Object, "caused_by").(*document.Object)
		if !ok {
			return e
		}
		return &document.Error{Status: e.Status, Object: cause}
	}
	start, _ := place("start")
	end, ok := place("end")
	if !ok {
		end = len(w.original)
	}
	start, end = min(start, at), max(end, at)
	e.Object.Set("position", document.NewObject(
		document.Pair{Key: "offset", Value: int64(at)}, document.Pair{Key: "start", Value: int64(start)}, document.Pair{Key: "end", Value: int64(end)}))
	stack, _ := document.At(e.Object, "script_stack").([]any)
	if len(stack) >= 2 {
		e.Object.Set("script_stack", append(stack[:len(stack)-2:len(stack)-2], snippet(w.original, at, start, end, e.Error() == "compile error")...))
	}
	return e
}

// snippet is the two lines that show where in a script something went wrong: a
// statement, or what stands around a compiler's complaint.
func snippet(source string, at, start, end int, cut bool) []any {
	line, pointer := source[start:end], strings.Repeat(" ", at-start)+"^---- HERE"
	if cut && start > 0 {
		line, pointer = "... "+line, "    "+pointer
	}
	if cut && end < len(source) {
		line += " ..."
	}
	return []any{line, pointer}
}
