package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Privileges is a question to Elasticsearch about a user's rights, in the words
// of its _has_privileges call.
type Privileges struct {
	Cluster     []string                `json:"cluster,omitempty"`
	Index       []IndexPrivileges       `json:"index,omitempty"`
	Application []ApplicationPrivileges `json:"application,omitempty"`
}

// IndexPrivileges are rights on indices, streams and patterns of them.
type IndexPrivileges struct {
	Names      []string `json:"names"`
	Privileges []string `json:"privileges"`
}

// ApplicationPrivileges are rights that mean something to an application only.
type ApplicationPrivileges struct {
	Application string   `json:"application"`
	Privileges  []string `json:"privileges"`
	Resources   []string `json:"resources"`
}

// ErrUnauthenticated says that credentials stand for nobody.
var ErrUnauthenticated = errors.New("the credentials are missing or not right")

// Rights is Elasticsearch's answer.
type Rights struct {
	User    string          `json:"username"`
	Cluster map[string]bool `json:"cluster"`
	// Index is by the name that was asked for and privilege.
	Index map[string]map[string]bool `json:"index"`
	// Application is by application, resource and privilege.
	Application map[string]map[string]map[string]bool `json:"application"`
}

// Has asks what the user may do for whom an Authorization header stands.
// ErrUnauthenticated if it stands for nobody.
func (c *Client) Has(ctx context.Context, authorization string, question Privileges) (Rights, error) {
	const path = "/_security/user/_has_privileges"
	req, err := newRequest(ctx, http.MethodPost, path, question)
	if err != nil {
		return Rights{}, fmt.Errorf("POST %s: %w", path, err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := c.Perform(req)
	if err != nil {
		return Rights{}, fmt.Errorf("POST %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return Rights{}, ErrUnauthenticated
	case resp.StatusCode >= http.StatusMultipleChoices:
		return Rights{}, refusal(req, resp)
	}
	var rights Rights
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxErrorBody)).Decode(&rights); err != nil {
		return Rights{}, fmt.Errorf("POST %s: decode answer: %w", path, err)
	}
	return rights, nil
}
