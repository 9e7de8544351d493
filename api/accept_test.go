package api

import "testing"

func TestAcceptTellsBrowsersFromPrograms(t *testing.T) {
	for _, tc := range []struct {
		who, accept string
		page, json  bool // prefersPage, prefersJSON
	}{
		{"Chrome", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7", true, false},
		{"Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true, false},
		{"Safari", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true, false},
		{"Lynx", "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", true, false},
		{"curl", "*/*", false, false},
		{"no header", "", false, false},
		{"fetch for JSON", "application/json", false, true},
		{"axios", "application/json, text/plain, */*", false, true},
		{"Go with a list", "application/json, application/problem+json", false, true},
		{"Java's HttpURLConnection", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", true, false},
		{"any text", "text/*", true, false},
		{"any application", "application/*", false, true},
		{"both alike", "text/html, application/json", false, false},
		{"JSON first by quality", "text/html;q=0.5, application/json;q=0.9", false, true},
		{"page first by quality", "text/html;q=0.9, application/json;q=0.5", true, false},
		{"anything but JSON", "*/*, application/json;q=0", true, false},
		{"no page", "text/html;q=0, */*", false, true},
		{"another type", "image/png", false, false},
		{"capitals", "TEXT/HTML", true, false},
		{"bad quality", "text/html;q=x, application/json", false, true},
		{"NaN quality", "text/html;q=NaN, application/json;q=0.1", false, true},
		{"nonsense", ";;,,/q=1,text/html", true, false},
	} {
		if got := prefersPage(tc.accept); got != tc.page {
			t.Errorf("%s: prefersPage(%q) = %v", tc.who, tc.accept, got)
		}
		if got := prefersJSON(tc.accept); got != tc.json {
			t.Errorf("%s: prefersJSON(%q) = %v", tc.who, tc.accept, got)
		}
	}
}
