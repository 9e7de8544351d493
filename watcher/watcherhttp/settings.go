package watcherhttp

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher/document"
)

// Settings are those of the index that holds the watches, by their whole names.
type Settings interface {
	// Settings returns those that match patterns, joined by commas.
	Settings(ctx context.Context, patterns string) (map[string]any, error)
	// ChangeSettings sets some, nil to the default; fault.NotFound if there is no
	// index.
	ChangeSettings(ctx context.Context, changes map[string]any) error
}

// The settings that may be read and changed.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/watcher-api-update-settings.html
const (
	expandReplicas = "index.auto_expand_replicas"
	replicas       = "index.number_of_replicas"
	allocation     = "index.routing.allocation."
	tier           = "index.routing.allocation.include._tier_preference" // not even of allocation
)

func changeable(name string) bool {
	return name == expandReplicas || name == replicas || strings.HasPrefix(name, allocation) && name != tier
}

func (a *api) settings(c *gin.Context, _ string) (reply, error) {
	all, err := a.Settings.Settings(c.Request.Context(), expandReplicas+","+replicas+","+allocation+"*")
	if err != nil {
		return reply{}, fmt.Errorf("read settings: %w", err)
	}
	body := document.NewObject()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if changeable(name) {
			nest(body, strings.Split(name, "."), all[name])
		}
	}
	return reply{http.StatusOK, body}, nil
}

// nest sets a value below the keys, making the objects on the way.
func nest(o *document.Object, keys []string, value any) {
	if len(keys) == 1 {
		o.Set(keys[0], value)
		return
	}
	v, _ := o.Get(keys[0])
	inner, ok := v.(*document.Object)
	if !ok {
		inner = document.NewObject()
		o.Set(keys[0], inner)
	}
	nest(inner, keys[1:], value)
}

func (a *api) changeSettings(c *gin.Context, _ string) (reply, error) {
	data, err := readBody(c)
	if err != nil {
		return reply{}, err
	}
	body, err := document.ParseObject(data)
	if err != nil {
		return reply{}, document.NewError(http.StatusBadRequest, "x_content_parse_exception", err.Error())
	}
	changes := map[string]any{}
	flatten(changes, "", body)
	var illegal []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if !changeable(name) {
			illegal = append(illegal, name)
		}
	}
	switch {
	case len(changes) == 0:
		return reply{}, invalid("no settings to update")
	case len(illegal) > 0:
		return reply{}, invalid(fmt.Sprintf("illegal settings: [%s], these settings may not be configured. Only the following settings may be configured: [%s, %s, %s*]",
			strings.Join(illegal, ", "), expandReplicas, replicas, allocation))
	}
	err = a.Settings.ChangeSettings(c.Request.Context(), changes)
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{}, document.NewError(http.StatusNotFound, "resource_not_found_exception", "no Watches found on which to modify settings")
	case err != nil:
		return reply{}, fmt.Errorf("change settings: %w", err)
	}
	return ok(pair("acknowledged", true))
}

// flatten joins the keys of objects in objects by dots.
func flatten(into map[string]any, above string, o *document.Object) {
	for key, v := range o.All() {
		name := document.Join(above, key)
		if inner, ok := v.(*document.Object); ok {
			flatten(into, name, inner)
		} else {
			into[name] = v
		}
	}
}
