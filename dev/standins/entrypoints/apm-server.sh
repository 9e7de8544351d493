#!/usr/bin/env bash
# Runs intake in APM Server's place, with what APM Server would read from its
# configuration: settings, and variables in them as ${NAME} or ${NAME:default}.
set -euo pipefail
config=/usr/share/apm-server/apm-server.yml

# setting KEY prints a setting with its variables filled in. A variable that is
# not set and has no default ends the start, as it does in APM Server.
setting() {
	local text name
	text=$(sed -n "s/^ *$1: *//p" "$config" | head -n 1)
	while [[ $text =~ \$\{([A-Z_]+)(:([^}]*))?\} ]]; do
		name=${BASH_REMATCH[1]}
		if [[ -z ${!name+set} && -z ${BASH_REMATCH[2]} ]]; then
			echo "$config: missing field $name" >&2
			return 1
		fi
		text=${text/"${BASH_REMATCH[0]}"/"${!name-${BASH_REMATCH[3]}}"}
	done
	text=${text#\[\"}
	printf '%s' "${text%\"\]}"
}

LISTEN_ADDR=$(setting host)
APM_SECRET_TOKEN=$(setting auth.secret_token)
ELASTICSEARCH_URL=$(setting hosts)
ELASTICSEARCH_USER=$(setting username)
ELASTICSEARCH_PASSWORD=$(setting password)
ELASTICSEARCH_CA_FILE=$(setting ssl.certificate_authorities)
export LISTEN_ADDR APM_SECRET_TOKEN ELASTICSEARCH_URL ELASTICSEARCH_USER ELASTICSEARCH_PASSWORD ELASTICSEARCH_CA_FILE
exec /usr/share/apm-server/intake
