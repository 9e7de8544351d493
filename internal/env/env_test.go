package env_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
)

type store struct {
	Addr     string     `env:"STORE_ADDR,required"`
	Password env.Secret `env:"STORE_PASSWORD,required,notEmpty"`
}

type config struct {
	Store   store
	Timeout time.Duration `env:"TIMEOUT" envDefault:"5s"`
	Max     int           `env:"MAX" envDefault:"10"`
}

func (c *config) Validate() error {
	if c.Max < 1 {
		return errors.New("MAX must be at least 1")
	}
	return nil
}

func TestParse(t *testing.T) {
	var c config
	err := env.ParseMap(&c, map[string]string{"STORE_ADDR": "a:1", "STORE_PASSWORD": "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Timeout != 5*time.Second || c.Max != 10 || c.Store.Password.Reveal() != "hunter2" {
		t.Errorf("got %+v", c)
	}
}

func TestParseErrorsNameTheSetting(t *testing.T) {
	good := map[string]string{"STORE_ADDR": "a:1", "STORE_PASSWORD": "hunter2"}
	for name, tt := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"missing":     {map[string]string{"STORE_ADDR": "-"}, []string{"STORE_ADDR is not set"}},
		"empty":       {map[string]string{"STORE_PASSWORD": ""}, []string{"STORE_PASSWORD is empty"}},
		"wrong type":  {map[string]string{"TIMEOUT": "soon"}, []string{"TIMEOUT is not a valid time.Duration", "soon"}},
		"both":        {map[string]string{"TIMEOUT": "soon", "MAX": "x"}, []string{"TIMEOUT", "MAX"}},
		"not allowed": {map[string]string{"MAX": "0"}, []string{"MAX must be at least 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			vars := map[string]string{}
			for k, v := range good {
				vars[k] = v
			}
			for k, v := range tt.change {
				if v == "-" {
					delete(vars, k)
					continue
				}
				vars[k] = v
			}
			err := env.ParseMap(&config{}, vars)
			if err == nil {
				t.Fatal("want an error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error shows the secret: %q", err)
			}
		})
	}
}

func TestSecretIsMasked(t *testing.T) {
	s := struct{ Key env.Secret }{"hunter2"}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%q", s.Key), string(j)} {
		if strings.Contains(out, "hunter2") {
			t.Errorf("secret shows in %s", out)
		}
	}
}
