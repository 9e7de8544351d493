package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	mail "github.com/wneessen/go-mail"

	"pharos/internal/env"
)

// attached matches the sources of images that come with the e-mail.
var attached = regexp.MustCompile(`^cid:`)

// Account is the account that e-mails are sent by.
type Account struct {
	Host     string     `env:"SMTP_HOST"` // empty: there is none
	Port     int        `env:"SMTP_PORT" envDefault:"587"`
	User     string     `env:"SMTP_USER"`
	Password env.Secret `env:"SMTP_PASSWORD"`
	// From is the sender where an action names none.
	From string `env:"SMTP_FROM"`
	// TLS is starttls (required), tls (from the first byte) or none.
	TLS     string        `env:"SMTP_TLS" envDefault:"starttls"`
	Timeout time.Duration `env:"SMTP_TIMEOUT" envDefault:"10s"`
}

// DefaultAccount is the name of the account that the settings make.
const DefaultAccount = "default"

// There reports whether the settings make an account.
func (a Account) There() bool { return a.Host != "" }

// Validate checks the settings.
func (a *Account) Validate() error {
	switch a.TLS {
	case "starttls", "tls", "none":
	default:
		return errors.New("SMTP_TLS must be starttls, tls or none")
	}
	if a.Timeout <= 0 {
		return errors.New("SMTP_TIMEOUT must be above 0")
	}
	return nil
}

func (a Account) from() string {
	if a.From == "" && strings.Contains(a.User, "@") {
		return a.User
	}
	return a.From
}

// send sends an e-mail; user and password are the action's own, if it has any.
func (a Account) send(ctx context.Context, m *message, user string, password *string) error {
	if !a.There() {
		return errors.New("no accounts of type [email] configured. Please set one up by the setting SMTP_HOST")
	}
	written, err := m.mime()
	if err != nil {
		return err
	}
	options := []mail.Option{mail.WithPort(a.Port), mail.WithTimeout(a.Timeout)}
	switch a.TLS {
	case "tls":
		options = append(options, mail.WithSSL())
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	secret := a.Password.Reveal()
	if user == "" {
		user = a.User
	}
	if password != nil {
		secret = *password
	}
	if user != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(user), mail.WithPassword(secret))
	}
	client, err := mail.NewClient(a.Host, options...)
	if err != nil {
		return fmt.Errorf("make SMTP client: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, written); err != nil {
		return err
	}
	return nil
}

func (m *message) mime() (*mail.Msg, error) {
	out := mail.NewMsg()
	if m.from == "" {
		return nil, errors.New("there is no sender: neither [from] nor SMTP_FROM is set")
	}
	if err := out.From(m.from); err != nil {
		return nil, fmt.Errorf("from [%s]: %w", m.from, err)
	}
	for key, set := range map[string]func(...string) error{"to": out.To, "cc": out.Cc, "bcc": out.Bcc} {
		if list := m.lists[key]; len(list) > 0 {
			if err := set(list...); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if list := m.lists["reply_to"]; len(list) > 0 {
		if err := out.ReplyTo(list[0]); err != nil {
			return nil, fmt.Errorf("reply_to: %w", err)
		}
	}
	out.Subject(m.subject)
	out.SetMessageIDWithValue(messageID(m.id))
	out.SetDateWithValue(m.sent)
	if m.hasPriority {
		out.SetGenHeader("X-Priority", priorities[m.priority])
	}
	switch {
	case m.text != nil && m.html != nil:
		out.SetBodyString(mail.TypeTextPlain, *m.text)
		out.AddAlternativeString(mail.TypeTextHTML, *m.html)
	case m.html != nil:
		out.SetBodyString(mail.TypeTextHTML, *m.html)
	case m.text != nil:
		out.SetBodyString(mail.TypeTextPlain, *m.text)
	default:
		out.SetBodyString(mail.TypeTextPlain, "")
	}
	for _, f := range m.files {
		var options []mail.FileOption
		if f.contentType != "" {
			options = append(options, mail.WithFileContentType(mail.ContentType(f.contentType)))
		}
		add := out.AttachReader
		if f.inline {
			add = out.EmbedReader
		}
		if err := add(f.name, bytes.NewReader(f.content), options...); err != nil {
			return nil, fmt.Errorf("attach %s: %w", f.name, err)
		}
	}
	return out, nil
}

// messageID keeps what a Message-ID may hold.
func messageID(id string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`<>@()[]\,;:"`, r) {
			return r
		}
		return '-'
	}, id) + "@pharos"
}
