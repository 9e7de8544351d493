package elastic

import "net/http"

// As returns a client whose calls carry an Authorization header instead of the
// client's own account, so that they can do what its owner may, and no more.
func (c *Client) As(authorization string) *Client {
	return &Client{base: authorized{c.base, authorization}}
}

type authorized struct {
	performer
	authorization string
}

func (a authorized) Perform(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", a.authorization)
	}
	return a.performer.Perform(req)
}
