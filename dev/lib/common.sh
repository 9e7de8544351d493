# shellcheck shell=bash
# Sourced by every script of dev/: where things are, how they speak, settings.
set -euo pipefail
umask 022

# sudo resets PATH; on Debian a user's has no sbin.
PATH=$PATH:/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}

PHAROS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
PHAROS_STATE=${PHAROS_STATE:-$PHAROS_ROOT/var}
PHAROS_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pharos
export PATH HOME PHAROS_ROOT PHAROS_STATE PHAROS_CACHE

# shellcheck source=secret.sh
. "$PHAROS_ROOT/dev/lib/secret.sh"

say() { printf '%s\n' "$*"; }
complain() { printf 'pharos: %s\n' "$*" >&2; }
die() {
	complain "$*"
	exit 1
}

setting_names() { sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$PHAROS_ROOT/.env.example"; }
# Where our own servers listen; SMTP_PORT is another's.
port_names() { setting_names | grep '_PORT$' | grep -vx SMTP_PORT; }
# Those that need not be set: commented out, with their default.
tuning_names() { sed -n 's/^# \([A-Z][A-Z0-9_]*\)=.*/\1/p' "$PHAROS_ROOT/.env.example"; }

# serves_tls: nginx has a certificate, given or made at its start
serves_tls() { [[ -n $TLS_CERT_FILE || $TLS_SELF_SIGNED == on ]]; }

# load_settings FILE exports the settings of an .env. As with docker compose, a
# variable of the environment wins.
load_settings() {
	local name
	local -A given=()
	for name in $(setting_names) $(tuning_names); do
		[[ -z ${!name-} ]] || given[$name]=${!name}
	done
	set -a
	# shellcheck disable=SC1090
	. "$1"
	set +a
	for name in "${!given[@]}"; do
		export "$name=${given[$name]}"
	done
}
