package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// APIKey acts with the rights of who it was made for.
type APIKey struct {
	ID      string
	Encoded string // what follows "ApiKey " in an Authorization header
	Expires time.Time
}

// Grant makes a key with all rights of the user, which lasts for so long. The
// client's account needs the cluster privilege grant_api_key.
// ErrUnauthenticated if the password is not the user's.
// https://www.elastic.co/docs/api/doc/elasticsearch/v8/operation/operation-security-grant-api-key
func (c *Client) Grant(ctx context.Context, user, password, name string, lasts time.Duration) (APIKey, error) {
	var answer struct {
		ID         string `json:"id"`
		Encoded    string `json:"encoded"`
		Expiration int64  `json:"expiration"`
	}
	// The answer for a wrong password is the one for a client that has none
	// itself: only this call tells them apart.
	err := c.callAs(ctx, &login{user, password}, http.MethodGet, "/_security/_authenticate", nil, nil)
	if isStatus(err, http.StatusUnauthorized) {
		return APIKey{}, ErrUnauthenticated
	}
	if err != nil {
		return APIKey{}, fmt.Errorf("check password: %w", err)
	}
	err = c.call(ctx, http.MethodPost, "/_security/api_key/grant", map[string]any{
		"grant_type": "password", "username": user, "password": password,
		"api_key": map[string]any{
			"name": name, "expiration": fmt.Sprintf("%ds", int(lasts.Seconds())), "metadata": mark{ManagedBy: manager},
		},
	}, &answer)
	if err != nil {
		return APIKey{}, fmt.Errorf("grant API key: %w", err)
	}
	return APIKey{ID: answer.ID, Encoded: answer.Encoded, Expires: time.UnixMilli(answer.Expiration)}, nil
}

// Revoke ends a key by the key's own right (manage_own_api_key), so it is to be
// called on a client [Client.As] the key. One that has ended already is no error.
func (c *Client) Revoke(ctx context.Context, id string) error {
	body := map[string]any{"ids": []string{id}, "owner": true}
	err := c.call(ctx, http.MethodDelete, "/_security/api_key", body, nil)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
		return nil
	}
	if err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	return nil
}
