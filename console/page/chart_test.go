package page

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func sample() Chart {
	c := NewChart("c", `Requests <b>&"`, Counts, Span{From: time.Unix(0, 0), To: time.Unix(300, 0)})
	c.Times = []int64{0, 100, 200}
	c.Series = []Series{
		{Name: "</script><script>alert(1)</script>", Colour: Colour("2xx"), Values: []*float64{Value(10), nil, Value(5)}},
		{Name: "5xx", Colour: Colour("5xx"), Values: []*float64{Value(0), Value(2), Value(10)}},
	}
	return c
}

func TestGapsAreNoData(t *testing.T) {
	rows := sample().Rows()
	if len(rows) != 3 || strings.Join(rows[1].Values, " ") != NoData+" 2" || !rows[2].At.Equal(time.Unix(200, 0)) {
		t.Errorf("%+v", rows)
	}
	svg := string(sample().SVG())
	if !strings.Contains(svg, `d="M0.0 0.0M400.0 60.0"`) || !strings.Contains(svg, `d="M0.0 120.0L200.0 96.0L400.0 0.0"`) {
		t.Errorf("%s", svg)
	}
}

func TestStackedBarsStandOnEachOther(t *testing.T) {
	c := sample()
	c.Stacked = true
	if svg := string(c.SVG()); !strings.Contains(svg, "M400.0 120.0H599.5V80.0H400.0Z") || !strings.Contains(svg, "M400.0 80.0H599.5V0.0H400.0Z") {
		t.Errorf("%s", svg)
	}
}

func TestNothingInAChartIsMarkup(t *testing.T) {
	data, err := sample().Data()
	if err != nil || strings.Contains(string(data), "<") {
		t.Errorf("%s %v", data, err)
	}
	var back Chart
	if err := json.Unmarshal([]byte(data), &back); err != nil || back.Series[0].Values[1] != nil || *back.Series[1].Values[2] != 10 {
		t.Errorf("%+v %v", back, err)
	}
	if svg := string(sample().SVG()); strings.Contains(svg, "<b>") || strings.Contains(svg, "script") {
		t.Errorf("%s", svg)
	}
}

func TestEmptyChart(t *testing.T) {
	c := NewChart("c", "x", Counts, Span{From: time.Unix(0, 0), To: time.Unix(1, 0)})
	c.Series = []Series{{Name: "a", Values: []*float64{nil, nil}}}
	if !c.Empty() || sample().Empty() {
		t.Error("empty is not told from full")
	}
}

func TestTheSameThingHasTheSameColour(t *testing.T) {
	if api, other := Colour("api"), Colour("some-route"); api != "c-blue" || other != "c-blue" {
		t.Errorf("colours change: %s, %s", api, other)
	}
}

func TestBelowZero(t *testing.T) {
	c := NewChart("c", "x", Share, Span{From: time.Unix(0, 0), To: time.Unix(100, 0)})
	c.Times = []int64{0, 100}
	c.Series = []Series{{Name: "left", Colour: "c-blue", Dashed: true, Values: []*float64{Value(1), Value(-3)}}}
	svg := string(c.SVG())
	if !strings.Contains(svg, `class="line dashed c-blue" d="M0.0 0.0L600.0 120.0"`) {
		t.Errorf("%s", svg)
	}
	if got := Times.Write(14.4); got != "14.4\u00a0×" {
		t.Error(got)
	}
}
