package kibana

import (
	stdbytes "bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Versions of the objects' forms, as 8.19 exports them; Kibana migrates older
// ones when it imports them.
const (
	coreVersion      = "8.8.0"
	dashboardVersion = "10.2.0"
	searchVersion    = "10.5.0"
	viewVersion      = "8.0.0"
)

// File is a file of saved objects, one JSON object a line.
type File struct {
	Name    string
	Content []byte
}

// reference is what one saved object says of another.
type reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

type savedObject struct {
	Type       string      `json:"type"`
	ID         string      `json:"id"`
	Attributes object      `json:"attributes"`
	References []reference `json:"references"`
	Core       string      `json:"coreMigrationVersion"`
	Version    string      `json:"typeMigrationVersion"`
}

// objectID is the saved object's of one of ours.
func objectID(id string) string { return "pharos-" + id }

// Objects are all that Kibana imports: the data views, the saved searches, and
// each dashboard in a file of its own. The files refer to one another, so they
// are to be imported together. The same source gives the same bytes;
// those that are committed have no price.
func Objects(price Price) ([]File, error) {
	var views, searches []savedObject
	for _, v := range DataViews() {
		o, err := v.object()
		if err != nil {
			return nil, fmt.Errorf("data view %s: %w", v.ID, err)
		}
		views = append(views, o)
	}
	for _, s := range Searches() {
		o, err := s.object()
		if err != nil {
			return nil, fmt.Errorf("saved search %s: %w", s.ID, err)
		}
		searches = append(searches, o)
	}
	files := []File{}
	add := func(name string, objects ...savedObject) error {
		f, err := newFile(name, objects)
		if err == nil {
			files = append(files, f)
		}
		return err
	}
	if err := add("data-views.ndjson", views...); err != nil {
		return nil, err
	}
	if err := add("searches.ndjson", searches...); err != nil {
		return nil, err
	}
	for _, d := range Dashboards(price) {
		o, err := d.object()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", d.ID, err)
		}
		if err := add("dashboard-"+d.ID+".ndjson", o); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func newFile(name string, objects []savedObject) (File, error) {
	var b stdbytes.Buffer
	for _, o := range objects {
		line, err := encode(o)
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", name, err)
		}
		b.WriteString(line + "\n")
	}
	return File{name, b.Bytes()}, nil
}

// encode writes JSON with keys in order and with <, > and & as they are.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func (v DataView) object() (savedObject, error) {
	formats := v.Formats
	if formats == nil {
		formats = map[string]FieldFormat{}
	}
	format, err := encode(formats)
	if err != nil {
		return savedObject{}, err
	}
	runtime, err := encode(v.runtime())
	if err != nil {
		return savedObject{}, err
	}
	return savedObject{"index-pattern", objectID(v.ID), object{
		"title": v.Streams, "name": v.Name, "timeFieldName": "@timestamp", "fieldFormatMap": format, "runtimeFieldMap": runtime,
		"fieldAttrs": "{}", "sourceFilters": "[]", "fields": "[]", "allowNoIndex": true,
	}, []reference{}, coreVersion, viewVersion}, nil
}

func (s Search) object() (savedObject, error) {
	source, err := encode(object{
		"query": query(s.KQL), "filter": []any{}, "highlightAll": true, "version": true,
		"indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
	})
	if err != nil {
		return savedObject{}, err
	}
	return savedObject{"search", objectID(s.ID), object{
		"title": s.Title, "description": s.About, "columns": s.Columns, "sort": [][]string{{"@timestamp", "desc"}}, "grid": object{},
		"hideChart": false, "isTextBasedQuery": false, "timeRestore": false, "kibanaSavedObjectMeta": object{"searchSourceJSON": source},
	}, []reference{{"index-pattern", objectID(s.View), "kibanaSavedObjectMeta.searchSourceJSON.index"}}, coreVersion, searchVersion}, nil
}

func (d Dashboard) object() (savedObject, error) {
	panels, references := []object{}, []reference{}
	x, y, tall := 0, 0, 0
	for i, p := range d.Panels {
		// Left to right, and a new row where it does not fit.
		if x+p.Wide > columns {
			x, y, tall = 0, y+tall, 0
		}
		id := fmt.Sprintf("%s-%02d", d.ID, i+1)
		panel, refs := p.object(id)
		panel["gridData"] = object{"x": x, "y": y, "w": p.Wide, "h": p.Tall, "i": id}
		panels, references = append(panels, panel), append(references, refs...)
		x, tall = x+p.Wide, max(tall, p.Tall)
	}
	controls, refs, err := controlGroup(d.Controls)
	if err != nil {
		return savedObject{}, err
	}
	references = append(references, refs...)
	texts := map[string]string{}
	for name, v := range map[string]any{
		"panels":  panels,
		"options": object{"useMargins": true, "syncColors": true, "syncCursor": true, "syncTooltips": true, "hidePanelTitles": false},
		"source":  object{"query": query(""), "filter": []any{}},
	} {
		if texts[name], err = encode(v); err != nil {
			return savedObject{}, err
		}
	}
	return savedObject{"dashboard", objectID(d.ID), object{
		"title": "Pharos: " + d.Title, "description": d.About, "version": 1,
		"panelsJSON": texts["panels"], "optionsJSON": texts["options"], "controlGroupInput": controls,
		"timeRestore": true, "timeFrom": d.Since, "timeTo": "now", "refreshInterval": object{"pause": false, "value": 30_000},
		"kibanaSavedObjectMeta": object{"searchSourceJSON": texts["source"]},
	}, references, coreVersion, dashboardVersion}, nil
}

// columns is how wide a dashboard is.
const columns = 48

// object is the panel as a dashboard holds it, and its references under the names
// that the dashboard knows them by.
func (p Panel) object(id string) (object, []reference) {
	config, references := object{"enhancements": object{}}, []reference{}
	panel := object{"panelIndex": id, "embeddableConfig": config, "title": p.Title}
	switch p.Kind {
	case Text:
		panel["type"] = "visualization"
		config["hidePanelTitles"] = true
		config["savedVis"] = object{
			"title": p.Title, "description": p.About, "type": "markdown", "uiState": object{},
			"params": object{"fontSize": 12, "markdown": p.Text, "openLinksInNewTab": false},
			"data":   object{"aggs": []any{}, "searchSource": object{"query": query(""), "filter": []any{}}},
		}
	case Lines:
		panel["type"], panel["panelRefName"] = "search", "panel_"+id
		config["description"] = p.About
		references = append(references, reference{"search", objectID(p.Search), id + ":panel_" + id})
	default:
		attributes, refs := p.lens()
		panel["type"] = "lens"
		config["attributes"], config["description"] = attributes, p.About
		for _, r := range refs {
			references = append(references, reference{r.Type, r.ID, id + ":" + r.Name})
		}
		events := []object{}
		for i, to := range p.To {
			event := id + "-to-" + strconv.Itoa(i)
			events = append(events, drilldown(event, to))
			references = append(references, reference{"dashboard", objectID(to), id + ":drilldown:" + toDashboard + ":" + event + ":dashboardId"})
		}
		if len(events) > 0 {
			config["enhancements"] = object{"dynamicActions": object{"events": events}}
		}
	}
	return panel, references
}

// toDashboard opens another dashboard. Links to other sites would need a
// subscription (URL_DRILLDOWN is of the gold licence); those are fields' formats.
const toDashboard = "DASHBOARD_TO_DASHBOARD_DRILLDOWN"

func drilldown(event, to string) object {
	return object{"eventId": event, "triggers": []string{"FILTER_TRIGGER"}, "action": object{
		"factoryId": toDashboard, "name": "Open " + to,
		"config": object{"useCurrentFilters": true, "useCurrentDateRange": true, "openInNewTab": false},
	}}
}

func controlGroup(controls []Control) (object, []reference, error) {
	panels, references := object{}, []reference{}
	for i, c := range controls {
		id := "control-" + strconv.Itoa(i)
		panels[id] = object{
			"type": "optionsListControl", "order": i, "width": "medium", "grow": true, "explicitInput": object{
				"id": id, "fieldName": c.Field, "title": c.Title, "searchTechnique": "prefix", "selectedOptions": []string{},
				"singleSelect": false, "enhancements": object{},
			},
		}
		references = append(references, reference{"index-pattern", objectID(c.View), "controlGroup_" + id + ":optionsListDataView"})
	}
	text, err := encode(panels)
	if err != nil {
		return nil, nil, err
	}
	ignore, err := encode(object{"ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false})
	if err != nil {
		return nil, nil, err
	}
	return object{
		"chainingSystem": "HIERARCHICAL", "controlStyle": "oneLine", "ignoreParentSettingsJSON": ignore, "panelsJSON": text,
		"showApplySelections": false,
	}, references, nil
}
