package painless

import (
	"regexp"
	"strings"
)

// Returns is what a script's main part must return.
type Returns string

// What Watcher's two kinds of scripts return (WatcherConditionScript,
// WatcherTransformScript).
const (
	Boolean Returns = "boolean" // conditions
	Object  Returns = "Object"  // transforms
)

// wrapped is a script as Elasticsearch gets it: the script's own functions, then
// its statements as the body of one more function, then ours. Functions must come
// before statements in Painless, and a body of its own keeps a return from
// skipping what stands after it.
type wrapped struct {
	text      string
	original  string
	functions int // bytes of original that are functions: the same offsets in text
	header    int // bytes put in after them
}

const (
	header = " pharosRun(Map ctx, Map params) {"

	// dates finds the dates in a value, because JSON would make them strings.
	dates = `
void pharosDates(def value, List path, List found) {
  if (value instanceof ZonedDateTime) { found.add(new ArrayList(path)); }
  else if (value instanceof Map) {
    for (def e : value.entrySet()) { path.add(String.valueOf(e.getKey())); pharosDates(e.getValue(), path, found); path.remove(path.size() - 1); }
  } else if (value instanceof List) {
    for (int i = 0; i < value.size(); ++i) { path.add(String.valueOf(i)); pharosDates(value.get(i), path, found); path.remove(path.size() - 1); }
  }
}
`
	// run binds ctx, makes dates of what were dates, and returns what the script
	// returned and changed. Without a ctx the script is only compiled.
	run = `if (params.ctx == null) { return null; }
Map pharosCtx = params.ctx;
for (List pharosPath : params.dates) {
  def pharosAt = pharosCtx;
  int pharosLast = pharosPath.size() - 1;
  for (int i = 0; i < pharosLast; ++i) { pharosAt = pharosAt instanceof List ? pharosAt.get(Integer.parseInt(pharosPath.get(i))) : pharosAt.get(pharosPath.get(i)); }
  if (pharosAt instanceof List) { int i = Integer.parseInt(pharosPath.get(pharosLast)); pharosAt.set(i, ZonedDateTime.parse(pharosAt.get(i))); }
  else { pharosAt.put(pharosPath.get(pharosLast), ZonedDateTime.parse(pharosAt.get(pharosPath.get(pharosLast)))); }
}
def pharosPayload = pharosCtx.payload;
def pharosVars = pharosCtx.vars;
String pharosBefore = Json.dump(pharosPayload);
Map pharosParams = params.params;
pharosParams.ctx = pharosCtx;
Map pharosOut = new HashMap();
pharosOut.result = pharosRun(pharosCtx, Collections.unmodifiableMap(pharosParams));
pharosOut.vars = pharosVars;
if (Json.dump(pharosPayload) != pharosBefore) { pharosOut.payload = pharosPayload; }
String pharosText = Json.dump(pharosOut);
List pharosFound = new ArrayList();
pharosDates(pharosOut, new ArrayList(), pharosFound);
return pharosFound.isEmpty() ? pharosText : '[' + pharosText + ',' + Json.dump(pharosFound) + ']';
`
)

// wrap makes a script ready to run. With open its body gets a last return, for
// one that does not return on every way through it.
func wrap(source string, returns Returns, open bool) wrapped {
	at := statements(source)
	head := string(returns) + header
	end := "\n}"
	if open {
		end = map[Returns]string{Boolean: "\nreturn false; }", Object: "\nreturn null; }"}[returns]
		if last := lastByte(source[at:]); last != 0 && last != ';' && last != '}' {
			end = "\n;" + end
		}
	}
	return wrapped{
		text:     source[:at] + head + source[at:] + end + dates + run,
		original: source, functions: at, header: len(head),
	}
}

// offset finds a place of the wrapped text in the original; ok is false for what
// stands in none of it.
func (w wrapped) offset(i int) (at int, ok bool) {
	switch {
	case i < w.functions:
		return i, i >= 0
	case i < w.functions+w.header:
		return w.functions, true // "not all paths provide a return value" and its like
	case i-w.header <= len(w.original):
		return i - w.header, true
	default:
		return 0, false
	}
}

// A function begins with a type and two names less the parenthesis: def f(,
// List<…> is not Painless'.
var functionHead = regexp.MustCompile(`^[A-Za-z_][\w.]*(?:\s*\[\s*\])*\s+[A-Za-z_]\w*\s*\(`)

var keywords = map[string]bool{ //nolint:gochecknoglobals // only read
	"return": true, "else": true, "new": true, "throw": true, "in": true, "instanceof": true,
}

// statements is where the functions of a script end and its statements begin.
func statements(source string) int {
	at := 0
	for {
		start := skipSpace(source, at)
		match := functionHead.FindString(source[start:])
		if match == "" || keywords[strings.Fields(match)[0]] {
			return at
		}
		end := skipGroup(source, start+len(match)-1)
		if end < 0 {
			return at
		}
		open := skipSpace(source, end)
		if open == len(source) || source[open] != '{' {
			return at
		}
		if end = skipGroup(source, open); end < 0 {
			return at // never closed: the compiler says so
		}
		at = end
	}
}

// skipSpace goes over white space and comments.
func skipSpace(s string, i int) int {
	for i < len(s) {
		switch {
		case strings.ContainsRune(" \t\r\n", rune(s[i])):
			i++
		case strings.HasPrefix(s[i:], "//"):
			i = after(s, i, "\n")
		case strings.HasPrefix(s[i:], "/*"):
			i = after(s, i+2, "*/")
		default:
			return i
		}
	}
	return i
}

func after(s string, i int, end string) int {
	n := strings.Index(s[min(i, len(s)):], end)
	if n < 0 {
		return len(s)
	}
	return i + n + len(end)
}

// skipGroup goes from an opening bracket to behind the one that closes it; -1 if
// none does.
func skipGroup(s string, i int) int {
	depth := 0
	end := -1
	scan(s, i, func(c byte, at int) bool {
		switch c {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth == 0 {
				end = at + 1
				return false
			}
		}
		return true
	})
	return end
}

// lastByte is the last byte of code; 0 if there is none.
func lastByte(s string) byte {
	var last byte
	scan(s, 0, func(c byte, _ int) bool {
		last = c
		return true
	})
	return last
}

// scan visits the bytes of code, not those of space and comments, until visit
// says no. A string or a regular expression is visited as its first byte.
func scan(s string, i int, visit func(c byte, at int) bool) {
	last := byte('(') // tells a regular expression from a division
	for i = skipSpace(s, i); i < len(s); i = skipSpace(s, i) {
		c, next := s[i], i+1
		if c == '\'' || c == '"' || c == '/' && strings.IndexByte("(,=~!&|?:;{}[+-*%<>", last) >= 0 {
			next = skipQuoted(s, i, c)
		}
		if !visit(c, i) {
			return
		}
		last, i = c, next
	}
}

func skipQuoted(s string, i int, quote byte) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(s)
}
