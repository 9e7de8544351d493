#!/bin/sh
# nginx, with the template that every way to run uses.
. "$(dirname "$0")/lib.sh"

export NGINX_RUN_DIR="$PHAROS_STATE/run/nginx"
mkdir -p "$NGINX_RUN_DIR" "$NGINX_LOG_DIR"
export NGINX_TLS=
if [ -z "$TLS_CERT_FILE" ] && [ "$TLS_SELF_SIGNED" = on ]; then
	certificates=$PHAROS_STATE/data/certificates
	"$PHAROS_STATE/bin/pharos" setup certificates --dir "$certificates" --nginx-hosts "$TLS_HOSTS"
	TLS_CERT_FILE=$certificates/nginx.crt TLS_KEY_FILE=$certificates/nginx.key
fi
if [ -n "$TLS_CERT_FILE" ]; then
	NGINX_TLS="listen $NGINX_LISTEN_ADDR:$NGINX_TLS_PORT ssl; ssl_certificate $TLS_CERT_FILE; ssl_certificate_key $TLS_KEY_FILE;"
fi

# Only these names: nginx's own variables look the same.
# shellcheck disable=SC2016
names='${NGINX_LISTEN_ADDR} ${NGINX_PORT} ${NGINX_STATUS_LISTEN} ${NGINX_API_SERVERS} ${NGINX_CONSOLE_SERVERS} ${NGINX_RESOLVER}
${NGINX_RATE_LIMIT} ${NGINX_RATE_BURST} ${NGINX_BODY_LIMIT} ${TRUST_TRACEPARENT} ${NGINX_TLS} ${TLS_REDIRECT} ${HSTS_MAX_AGE}
${NGINX_LOG_DIR} ${NGINX_RUN_DIR} ${ENVIRONMENT} ${REGION} ${NODE_NAME}'
conf=$NGINX_RUN_DIR/nginx.conf
envsubst "$names" <"$PHAROS_ROOT/nginx/nginx.conf.template" >"$conf"

# -e: before the configuration is read, errors would go to a log of Debian's.
set -- -p "$NGINX_RUN_DIR" -c "$conf" -e "$NGINX_LOG_DIR/error.log"
nginx "$@" -q -t
exec nginx "$@" -g 'daemon off;'
