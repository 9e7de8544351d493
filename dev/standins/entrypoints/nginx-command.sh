#!/bin/sh
# The official image's nginx was built with this user.
for argument; do
	shift
	[ "$argument" != "daemon off;" ] || argument="daemon off; user nginx;"
	set -- "$@" "$argument"
done
exec /opt/nginx/nginx "$@"
