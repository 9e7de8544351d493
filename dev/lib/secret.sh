# shellcheck shell=sh
# Which settings are secrets, by their names.

# is_random NAME: made at random by dev/env.sh; must not be empty
is_random() {
	case $1 in
	PAGERDUTY_ROUTING_KEY | SMTP_PASSWORD) return 1 ;; # others give them to us
	*_PASSWORD | *_KEY | *_TOKEN) return 0 ;;
	*) return 1 ;;
	esac
}

# is_secret NAME: reaches only the processes that ask for it by name
is_secret() {
	case $1 in
	*_KEYS | PAGERDUTY_* | SLACK_WEBHOOK_* | SMTP_PASSWORD) return 0 ;;
	*) is_random "$1" ;;
	esac
}
