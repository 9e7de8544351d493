#!/bin/sh
# Makes .env from .env.example, once: readable by its owner only, with a random
# secret for each secret that is empty there. An .env that is there already is
# kept as it is; only variables that it lacks are added, so that an upgrade
# works. `make up` calls this; for Docker call it yourself: sh dev/env.sh
#
# usage: sh dev/env.sh [FILE]     (default: .env beside .env.example)
set -eu
umask 077
case ${1-} in
-h | --help)
	sed -n '2,/^$/s/^# \{0,1\}//p;/^set/q' "$0"
	exit
	;;
esac

. "$(dirname "$0")/lib/secret.sh"
example=$(cd "$(dirname "$0")/.." && pwd)/.env.example
file=${1:-${example%.example}}

# 192 random bits as hex digits: nothing in them needs quoting, whether in
# YAML, in a URL, in SQL or in a shell.
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# fill copies settings from standard input, and says which secrets it made.
fill() {
	while IFS= read -r line; do
		name=${line%%=*}
		if [ "$line" = "$name=" ] && is_random "$name"; then
			printf '%s=%s\n' "$name" "$(secret)"
		else
			printf '%s\n' "$line"
		fi
	done
}

names() { sed -n 's/^\(export \)\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\2/p' "$1"; }

if [ ! -e "$file" ]; then
	new=$(mktemp "$file.XXXXXX")
	trap 'rm -f "$new"' EXIT
	# The head of .env.example speaks of .env.example.
	{
		echo "# Made by dev/env.sh from .env.example. Keep it to yourself and back it up:"
		echo "# the data under var/ and in Docker's volumes opens only with these secrets."
		echo
		sed '1,/^$/d' "$example" | fill
	} >"$new"
	# A link fails where a file has come in between; a rename would replace it.
	if ln "$new" "$file" 2>/dev/null; then
		echo "$file: made, with $(names "$file" | while read -r name; do is_random "$name" && echo "$name"; done | wc -l | tr -d ' ') random secrets"
		exit 0
	fi
fi

have=" $(names "$file" | tr '\n' ' ')"
added=
for name in $(names "$example"); do
	case $have in
	*" $name "*) continue ;;
	esac
	if [ -z "$added" ]; then
		# A last line without its end would swallow the first that is added.
		[ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
	fi
	# With the comment that stands above it.
	awk -v name="$name" '
		index($0, name "=") == 1 { printf "\n%s%s\n", comment, $0; exit }
		/^# ----/ || !/^#/ { comment = ""; next }
		{ comment = comment $0 "\n" }' "$example" | fill >>"$file"
	added="$added $name"
done
if [ -n "$added" ]; then
	echo "$file: added$added"
else
	echo "$file: complete, nothing changed"
fi
