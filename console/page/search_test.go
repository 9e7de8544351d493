package page

import "testing"

func TestSearchesForValues(t *testing.T) {
	for got, want := range map[string]string{
		Term("service.name", "api"):                        "service.name:api",
		Term("http.route", "/v1/users/:handle"):            `http.route:"/v1/users/:handle"`,
		Term("message", `a "b" \ or`):                      `message:"a \"b\" \\ or"`,
		Term("word", "OR"):                                 `word:"OR"`,
		Term("empty", ""):                                  `empty:""`,
		AnyOf("service.name", []string{"api"}):             "service.name:api",
		AnyOf("service.name", []string{"api", "a b", "*"}): `service.name:(api or "a b" or "*")`,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
