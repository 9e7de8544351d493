#!/bin/sh
# Fills in templates as the official image does, with the variables that
# NGINX_ENVSUBST_FILTER lets through, and starts nginx.
set -e
if [ "$1" = nginx ] && [ -d /etc/nginx/templates ]; then
	to=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
	if [ ! -w "$to" ]; then
		echo "ERROR: /etc/nginx/templates exists, but $to is not writable"
	else
		# shellcheck disable=SC2016 # envsubst takes the names with their dollar signs
		names=$(awk -v filter="${NGINX_ENVSUBST_FILTER:-}" 'BEGIN { for (name in ENVIRON) if (name ~ filter) printf "${%s} ", name }' </dev/null)
		for template in /etc/nginx/templates/*.template; do
			file=$to/$(basename "$template" .template)
			envsubst "$names" <"$template" >"$file"
		done
	fi
fi
exec "$@"
