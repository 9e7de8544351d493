package look

import (
	"fmt"
	"math"
	"regexp"
	"testing"
)

// TestContrast holds the colours to WCAG 2's ratios, in both schemes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("files/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := [2]map[string]string{{}, {}}
	for _, token := range regexp.MustCompile(`--(\w+): light-dark\((#\w{6}), (#\w{6})\);`).FindAllStringSubmatch(string(css), -1) {
		schemes[0][token[1]], schemes[1][token[1]] = token[2], token[3]
	}
	for i, scheme := range []string{"light", "dark"} {
		for _, ground := range []string{"bg", "panel"} {
			for token, least := range map[string]float64{
				"text": 4.5, "muted": 4.5, "link": 4.5, "ok": 4.5, "warn": 4.5, "bad": 4.5, "info": 4.5, "focus": 3,
			} {
				ratio := contrast(t, schemes[i][token], schemes[i][ground])
				t.Logf("%s --%s on --%s: %.1f", scheme, token, ground, ratio)
				if ratio < least {
					t.Errorf("%s --%s on --%s has a contrast of %.2f, below %.1f", scheme, token, ground, ratio, least)
				}
			}
		}
	}
}

// contrast is the contrast ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	total := 0.0
	for i, weight := range [3]float64{0.2126, 0.7152, 0.0722} {
		v := float64(rgb[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		total += weight * v
	}
	return total
}
