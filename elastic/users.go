package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// user is Elasticsearch's form of an account.
type user struct {
	Roles    []string `json:"roles"`
	FullName string   `json:"full_name"`
	Metadata mark     `json:"metadata"`
	Enabled  bool     `json:"enabled"`
	Password string   `json:"password,omitempty"`
}

// account makes or corrects one account. Whether a password is right is found
// out by signing in with it: Elasticsearch shows only that.
func (s *setup) account(ctx context.Context, a Account) (Change, error) {
	change := Change{Kind: "user", Name: a.User, Action: Unchanged}
	if a.Password == "" {
		return change, fmt.Errorf("%s is empty: user %s needs a password", a.Variable, a.User)
	}
	if a.Role == "" {
		return s.ownUser(ctx, a, change)
	}
	path := "/_security/user/" + a.User
	var known map[string]user
	err := s.client.call(ctx, http.MethodGet, path, nil, &known)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return change, fmt.Errorf("get user %s: %w", a.User, err)
	}
	was, exists := known[a.User]
	want := user{Roles: []string{a.Role}, FullName: a.About, Metadata: mark{ManagedBy: manager}, Enabled: true}
	switch {
	case !exists:
		change.Action = Created
		want.Password = a.Password.Reveal()
	case was.Metadata.ManagedBy != manager:
		return change, fmt.Errorf("user %s exists already and was not made by Pharos: remove it", a.User)
	case !was.Enabled:
		change.Action, change.Note = Kept, "it is disabled; PUT "+path+"/_enable brings it back"
		return change, nil
	default:
		right, err := s.signsIn(ctx, a)
		if err != nil {
			return change, err
		}
		if right && slices.Equal(was.Roles, want.Roles) && was.FullName == want.FullName {
			return change, nil
		}
		change.Action = Updated
		if !right {
			change.Note = "it has the password of " + a.Variable + " now"
			want.Password = a.Password.Reveal()
		}
	}
	if err := s.client.call(ctx, http.MethodPut, path, want, nil); err != nil {
		return change, a.refused(err)
	}
	return change, nil
}

// ownUser sets the password of one of Elasticsearch's own users.
func (s *setup) ownUser(ctx context.Context, a Account, change Change) (Change, error) {
	right, err := s.signsIn(ctx, a)
	if err != nil || right {
		return change, err
	}
	change.Action, change.Note = Updated, "it has the password of "+a.Variable+" now"
	body := map[string]string{"password": a.Password.Reveal()}
	if err := s.client.call(ctx, http.MethodPut, "/_security/user/"+a.User+"/_password", body, nil); err != nil {
		return change, a.refused(err)
	}
	return change, nil
}

func (s *setup) signsIn(ctx context.Context, a Account) (bool, error) {
	as := &login{a.User, a.Password.Reveal()}
	err := s.client.callAs(ctx, as, http.MethodGet, "/_security/_authenticate", nil, nil)
	switch {
	case err == nil:
		return true, nil
	case isStatus(err, http.StatusUnauthorized):
		return false, nil
	}
	return false, fmt.Errorf("sign in as user %s: %w", a.User, err)
}

// refused names the account and its setting in front of Elasticsearch's
// reason, which may quote what it was sent.
func (a Account) refused(err error) error {
	var e *Error
	if errors.As(err, &e) {
		masked := *e
		masked.Reason = strings.ReplaceAll(e.Reason, a.Password.Reveal(), a.Password.String())
		err = &masked
	}
	return fmt.Errorf("put user %s with the password of %s: %w", a.User, a.Variable, err)
}
