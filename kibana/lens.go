package kibana

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Lens' state is written as Kibana 8.19 exports it. It was read off dashboards of
// elastic/integrations that were exported by it
// (packages/elastic_agent/kibana/dashboard/elastic_agent-02117980-….json: metric,
// formula, controls, references, typeMigrationVersion 10.2.0;
// packages/nginx/kibana/dashboard/nginx-023d2930-….json: lines over time) and off
// elastic/kibana, x-pack/platform/plugins/shared/lens/public: a layer's data view
// is a reference of the name indexpattern-datasource-layer-ID
// (datasources/form_based/loader.ts), and a formula is stored together with the
// columns that it comes apart into, its last one of the type math
// (operations/definitions/formula).

const (
	dataLayer = "data"
	goalLayer = "goals"
	timeID    = "time"
)

// column is a column of a Lens layer.
type column map[string]any

// layer is the columns of a panel in their order.
type layer struct {
	order   []string
	columns map[string]column
}

func (l *layer) add(id string, c column) {
	if l.columns == nil {
		l.columns = map[string]column{}
	}
	l.order = append(l.order, id)
	l.columns[id] = c
}

func (l *layer) state(view string) object {
	return object{
		"columnOrder": l.order, "columns": l.columns, "incompleteColumns": object{}, "indexPatternId": objectID(view),
		"sampling": 1, "ignoreGlobalFilters": false,
	}
}

// layer makes the panel's: what it is broken down by first, then the time, then
// the numbers, then the parts of formulas and rates.
func (p Panel) layer() layer {
	var l, parts layer
	for i, b := range p.By {
		l.add(byID(i), p.terms(b))
	}
	if p.chart() {
		l.add(timeID, column{
			"label": "@timestamp", "dataType": "date", "operationType": "date_histogram", "sourceField": "@timestamp",
			"isBucketed": true, "scale": "interval", "params": object{"interval": "auto", "includeEmptyRows": true, "dropPartials": false},
		})
	}
	for i, m := range p.Metrics {
		l.add(key(i), m.column(key(i), &parts))
	}
	for _, id := range parts.order {
		l.add(id, parts.columns[id])
	}
	return l
}

func byID(i int) string { return "by" + strconv.Itoa(i) }

func (p Panel) terms(b Terms) column {
	order, direction := object{"type": "alphabetical", "fallback": true}, "asc"
	if b.OrderBy >= 0 {
		order, direction = object{"type": "column", "columnId": key(b.OrderBy)}, "desc"
	}
	return column{
		"label": b.Label, "customLabel": true, "dataType": cmp.Or(b.Type, "string"), "operationType": "terms", "sourceField": b.Field,
		"isBucketed": true, "scale": "ordinal", "params": object{
			"size": b.Size, "orderBy": order, "orderDirection": direction, "otherBucket": false, "missingBucket": false,
			"parentFormat": object{"id": "terms"}, "include": []string{}, "exclude": []string{},
			"includeIsRegex": false, "excludeIsRegex": false, "secondaryFields": []string{},
		},
	}
}

// column makes a metric's; what it is made of goes into parts.
func (m Metric) column(id string, parts *layer) column {
	c := column{"label": m.Label, "customLabel": true, "dataType": cmp.Or(m.Type, "number"), "isBucketed": false, "scale": "ratio", "operationType": string(m.Op)}
	params := object{}
	switch m.Op {
	case Formula:
		return m.formula(id, c, parts)
	case CounterRate:
		// Of a maximum, which is the counter's value at the end of each step.
		of := id + "of"
		m.Op, m.Label = Max, "Part of "+m.Label
		parts.add(of, m.column(of, parts))
		c["references"], c["timeScale"] = []string{of}, "s"
	case Count:
		c["sourceField"] = "___records___"
	default:
		c["sourceField"] = m.Field
	}
	switch m.Op {
	case Percentile:
		params["percentile"] = m.Percent
	case LastValue:
		params["sortField"] = "@timestamp"
		// As Lens does it: documents without the field have no last value.
		m.KQL = and(m.KQL, m.Field+": *")
	default:
		if c["operationType"] != string(CounterRate) {
			params["emptyAsNull"] = true
		}
	}
	if m.KQL != "" && c["operationType"] != string(CounterRate) {
		c["filter"] = query(m.KQL)
	}
	if m.EachSecond {
		c["timeScale"] = "s"
	}
	if m.Format != "" {
		params["format"] = m.Format.state()
	}
	c["params"] = params
	return c
}

func (m Metric) formula(id string, c column, parts *layer) column {
	text := m.Expr.text()
	n := 0
	next := func() string {
		n++
		return id + "X" + strconv.Itoa(n-1)
	}
	var columns []string
	ast := m.Expr.tinymath(func(part Metric) string {
		own := next()
		part.Label = "Part of " + m.Label
		made := part.column(own, &layer{})
		if part.Op == CounterRate {
			of := part
			of.Op = Max
			first := own
			parts.add(first, of.column(first, &layer{}))
			own = next()
			made["references"] = []string{first}
			delete(made, "timeScale") // which a formula states itself, or not at all
		}
		// In a formula nothing is 0, so that it can be divided by.
		if p, ok := made["params"].(object); ok && p["emptyAsNull"] != nil {
			p["emptyAsNull"] = false
		}
		parts.add(own, made)
		columns = append(columns, own)
		return own
	})
	last := next()
	parts.add(last, column{
		"label": "Part of " + m.Label, "customLabel": true, "dataType": "number", "isBucketed": false, "scale": "ratio",
		"operationType": "math", "params": object{"tinymathAst": ast}, "references": columns,
	})
	params := object{"formula": text, "isFormulaBroken": false}
	if m.Format != "" {
		params["format"] = m.Format.state()
	}
	c["params"], c["references"] = params, []string{last}
	return c
}

// text writes the formula as people do in Lens.
func (e Expr) text() string {
	switch {
	case e.metric != nil:
		return e.metric.call()
	case e.call == "":
		return strconv.FormatFloat(e.number, 'f', -1, 64)
	}
	parts := make([]string, len(e.args))
	for i, a := range e.args {
		parts[i] = a.text()
		if a.call != "" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, sign(e.call))
}

// call writes a metric as a function of Lens' formulas.
func (m Metric) call() string {
	if m.Op == CounterRate {
		m.Op = Max
		return "counter_rate(" + m.call() + ")"
	}
	var args []string
	if m.Field != "" {
		args = append(args, m.Field)
	}
	if m.Op == Percentile {
		args = append(args, fmt.Sprintf("percentile=%d", m.Percent))
	}
	if m.KQL != "" {
		args = append(args, "kql='"+m.KQL+"'")
	}
	return string(m.Op) + "(" + strings.Join(args, ", ") + ")"
}

// tinymath is the formula as Kibana's parser of it, @kbn/tinymath, gives it, with
// the columns' ids in the place of metrics.
func (e Expr) tinymath(id func(Metric) string) any {
	switch {
	case e.metric != nil:
		return id(*e.metric)
	case e.call == "":
		return e.number
	}
	args := make([]any, len(e.args))
	for i, a := range e.args {
		args[i] = a.tinymath(id)
	}
	text := e.text()
	return object{"type": "function", "name": e.call, "args": args, "text": text, "location": object{"min": 0, "max": len(text)}}
}

func (f Format) state() object {
	switch f {
	case Small:
		return object{"id": "number", "params": object{"decimals": 6}}
	case Percent:
		return object{"id": "percent", "params": object{"decimals": 2}}
	}
	return object{"id": string(f), "params": object{"decimals": 1}}
}

func query(text string) object { return object{"language": "kuery", "query": text} }

func and(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return "(" + a + ") and (" + b + ")"
}

// goals are the layer of a chart's horizontal lines.
func (p Panel) goals() layer {
	var l layer
	for i, g := range p.Goals {
		l.add("goal"+strconv.Itoa(i), column{
			"label": g.Label, "customLabel": true, "dataType": "number", "isBucketed": false, "scale": "ratio", "isStaticValue": true,
			"operationType": "static_value", "references": []string{}, "params": object{"value": strconv.FormatFloat(g.Value, 'f', -1, 64)},
		})
	}
	return l
}

// visualization is how the numbers are drawn, and by which of Lens' kinds.
func (p Panel) visualization() (kind string, state object) {
	switch p.Kind {
	case Number:
		state = object{"layerId": dataLayer, "layerType": "data", "metricAccessor": key(0), "showBar": false}
		if c := p.Metrics[0].Colour; c != "" {
			state["color"] = c
		}
		return "lnsMetric", state
	case Table:
		return "lnsDatatable", p.table()
	}
	return "lnsXY", p.xy()
}

func (p Panel) table() object {
	var columns []object
	for i := range p.By {
		columns = append(columns, object{"columnId": byID(i), "isTransposed": false, "isMetric": false})
	}
	for i := range p.Metrics {
		columns = append(columns, object{"columnId": key(i), "isTransposed": false, "isMetric": true})
	}
	state := object{
		"layerId": dataLayer, "layerType": "data", "columns": columns, "paging": object{"size": 10, "enabled": true},
		"rowHeight": "auto", "headerRowHeight": "auto",
	}
	if by := slices.IndexFunc(p.By, func(b Terms) bool { return b.OrderBy >= 0 }); by >= 0 {
		state["sorting"] = object{"columnId": key(p.By[by].OrderBy), "direction": "desc"}
	}
	return state
}

func (p Panel) xy() object {
	series := map[Kind]string{Line: "line", Area: "area_stacked", Bar: "bar_stacked"}[p.Kind]
	accessors, colours := []string{}, []object{}
	for i, m := range p.Metrics {
		accessors = append(accessors, key(i))
		config := object{"forAccessor": key(i), "axisMode": "left"}
		if m.Colour != "" {
			config["color"] = m.Colour
		}
		colours = append(colours, config)
	}
	data := object{
		"layerId": dataLayer, "layerType": "data", "seriesType": series, "xAccessor": timeID, "accessors": accessors,
		"yConfig": colours, "position": "top", "showGridlines": false,
	}
	if len(p.By) > 0 {
		data["splitAccessor"] = byID(0)
	}
	layers := []object{data}
	if len(p.Goals) > 0 {
		ids, lines := []string{}, []object{}
		for i := range p.Goals {
			id := "goal" + strconv.Itoa(i)
			ids = append(ids, id)
			lines = append(lines, object{
				"forAccessor": id, "axisMode": "left", "color": grey, "lineStyle": "dashed", "lineWidth": 2, "fill": "none",
				"iconPosition": "auto", "textVisibility": true,
			})
		}
		layers = append(layers, object{"layerId": goalLayer, "layerType": "referenceLine", "accessors": ids, "yConfig": lines})
	}
	extent := object{"mode": "full"}
	if p.Zoomed {
		extent = object{"mode": "dataBounds"}
	}
	return object{
		"preferredSeriesType": series, "layers": layers, "legend": object{"isVisible": true, "position": "bottom", "showSingleSeries": true},
		"valueLabels": "hide", "fittingFunction": "None", "yLeftExtent": extent,
		"axisTitlesVisibilitySettings": object{"x": false, "yLeft": false, "yRight": false},
		"tickLabelsVisibilitySettings": object{"x": true, "yLeft": true, "yRight": true},
		"gridlinesVisibilitySettings":  object{"x": false, "yLeft": true, "yRight": false},
	}
}

// lens is the panel as a Lens object, by value.
func (p Panel) lens() (attributes object, references []reference) {
	main := p.layer()
	all := object{dataLayer: main.state(p.View)}
	references = []reference{{"index-pattern", objectID(p.View), "indexpattern-datasource-layer-" + dataLayer}}
	if len(p.Goals) > 0 {
		goals := p.goals()
		all[goalLayer] = goals.state(p.View)
		references = append(references, reference{"index-pattern", objectID(p.View), "indexpattern-datasource-layer-" + goalLayer})
	}
	kind, visualization := p.visualization()
	return object{
		"title": p.Title, "description": p.About, "type": "lens", "visualizationType": kind, "references": references,
		"state": object{
			"datasourceStates": object{
				"formBased": object{"layers": all, "currentIndexPatternId": objectID(p.View)}, "textBased": object{"layers": object{}},
			},
			"visualization": visualization, "query": query(p.KQL), "filters": []any{}, "internalReferences": []any{}, "adHocDataViews": object{},
		},
	}, references
}
