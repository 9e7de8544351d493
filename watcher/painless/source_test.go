package painless

import (
	"strings"
	"testing"
)

func TestStatementsBeginAfterFunctions(t *testing.T) {
	for source, functions := range map[string]string{
		"return 1":                           "",
		"def f(def x) { x + 1 } return f(2)": "def f(def x) { x + 1 }",
		"// of f\nint f(int x) { return x }\n/* { */ boolean g(List l, Map m) { l.size() > 1 } f(1)": "// of f\nint f(int x) { return x }\n/* { */ boolean g(List l, Map m) { l.size() > 1 }",
		"String[] f() { return new String[] {'}', \"}\\\"}\"} } 1":                                   "String[] f() { return new String[] {'}', \"}\\\"}\"} }",
		"boolean f(def s) { s =~ /[}\\/]/ } f(params.s)":                                             "boolean f(def s) { s =~ /[}\\/]/ }",
		"int f(int a) { a / 2 / 3 } f(6)":                                                            "int f(int a) { a / 2 / 3 }",
		"if (ctx.payload.n > 1) { return 1 } return 2":                                               "",
		"for (def h : ctx.payload.hits) { return h } return 2":                                       "",
		"def f = x -> { x + 1 }; return f":                                                           "",
		"return f(1) { ":                                                                             "",
		"else if (x) { }":                                                                            "",
		"java.util.List f() { return [] } f()":                                                       "java.util.List f() { return [] }",
		"def f(def x) { x ":                                                                          "",
	} {
		if at := statements(source); source[:at] != functions {
			t.Errorf("%q: functions are %q, want %q", source, source[:at], functions)
		}
	}
}

func TestOffsetsLeadBack(t *testing.T) {
	const source = "def f(def x) { x + 1 } return f(2) + boom"
	w := wrap(source, Object, false)
	for _, part := range []string{"x + 1", "boom", "return"} {
		at, ok := w.offset(strings.Index(w.text, part))
		if !ok || !strings.HasPrefix(source[at:], part) {
			t.Errorf("%s: leads to %d, %v", part, at, ok)
		}
	}
	if _, ok := w.offset(strings.Index(w.text, "Json.dump")); ok {
		t.Error("what was put around the script leads into it")
	}
}

func TestLastReturnIsAStatementOfItsOwn(t *testing.T) {
	for source, want := range map[string]string{
		"if (x) { return 1 }":        "if (x) { return 1 }\nreturn null; }",
		"def x = 5 // {":             "def x = 5 // {\n;\nreturn null; }",
		"def x = 5; /* } */":         "def x = 5; /* } */\nreturn null; }",
		"def x = '}'":                "def x = '}'\n;\nreturn null; }",
		"":                           "\nreturn null; }",
		"for (x in ctx.l) { f(x) } ": "for (x in ctx.l) { f(x) } \nreturn null; }",
	} {
		if text := wrap(source, Object, true).text; !strings.Contains(text, header+want) {
			t.Errorf("%q becomes %q", source, text[:len(source)+80])
		}
	}
}
