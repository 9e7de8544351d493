package elastic

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Refresh makes what was added to target before the call visible to searches.
// One that does not exist yet has nothing to show. It needs the privilege
// maintenance.
func (c *Client) Refresh(ctx context.Context, target string) error {
	err := c.call(ctx, http.MethodPost, "/"+url.PathEscape(target)+"/_refresh", nil, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("refresh %s: %w", target, err)
	}
	return nil
}
