// Package env reads settings from environment variables into structs.
//
// A struct names its variables with the tags of github.com/caarlos0/env:
//
//	type Config struct {
//		Addr     string     `env:"REDIS_ADDR,required"`
//		Password env.Secret `env:"REDIS_PASSWORD,required,notEmpty"`
//	}
package env

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Secret is a setting that is never printed: every way of formatting or
// encoding it gives a mask. Only [Secret.Reveal] returns the value.
type Secret string

const mask = "********"

// String returns a mask, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks the secret for %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText masks the secret for JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// A Validator checks a struct of settings as a whole, after it was read.
type Validator interface {
	Validate() error
}

// Parse fills the struct that cfg points to from the process's environment,
// then calls its Validate if it has one. The error names every variable that
// is missing or not valid, and never holds a secret's value.
func Parse(cfg any) error { return parse(cfg, env.Options{}) }

// ParseMap is Parse with the variables given.
func ParseMap(cfg any, vars map[string]string) error {
	return parse(cfg, env.Options{Environment: vars})
}

func parse(cfg any, opts env.Options) error {
	if err := env.ParseWithOptions(cfg, opts); err != nil {
		return describe(cfg, err)
	}
	if v, ok := cfg.(Validator); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("setting %w", err)
		}
	}
	return nil
}

func describe(cfg any, err error) error {
	agg := env.AggregateError{}
	if !errors.As(err, &agg) {
		return fmt.Errorf("read settings: %w", err)
	}
	names := variables(reflect.TypeOf(cfg).Elem())
	var lines []string
	for _, e := range agg.Errors {
		var (
			unset env.VarIsNotSetError
			empty env.EmptyVarError
			bad   env.ParseError
		)
		switch {
		case errors.As(e, &unset):
			lines = append(lines, unset.Key+" is not set")
		case errors.As(e, &empty):
			lines = append(lines, empty.Key+" is empty")
		case errors.As(e, &bad):
			lines = append(lines, fmt.Sprintf("%s is not a valid %s: %v", names[bad.Name], bad.Type, bad.Err))
		default:
			lines = append(lines, e.Error())
		}
	}
	return fmt.Errorf("settings: %s", strings.Join(lines, "; "))
}

// variables maps field names to the variables they are read from. Where two
// nested structs have a field of the same name, both variables are named.
func variables(t reflect.Type) map[string]string {
	names := map[string]string{}
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("env"), ","); key != "" {
			names[f.Name] = key
		} else if f.Type.Kind() == reflect.Struct {
			for name, key := range variables(f.Type) {
				if other, ok := names[name]; ok && other != key {
					key = other + " or " + key
				}
				names[name] = key
			}
		}
	}
	return names
}
