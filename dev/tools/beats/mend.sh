#!/bin/sh
# Prints a go.mod (see `go help build`, -modfile) with Beats' sources mended:
# Filebeat 7.17.28, stopped while it notes what was acknowledged, takes a lock
# twice, hangs until it is killed, and sends its last lines again at the next
# start. usage: mend.sh FOLDER, where the go.mod and the sources are put
set -eu
cd "$(dirname "$0")"

cp -r "$(go list -m -f '{{.Dir}}' github.com/elastic/beats/v7)" "$1/beats"
chmod -R u+w "$1/beats"
file=$1/beats/filebeat/input/filestream/internal/input-logfile/update_writer.go
# The way out of Recv, after its loop: the only such line with one tab.
awk '/^\treturn nil, ctx\.Err\(\)$/ { print "\tch.mutex.Unlock()"; found++ } { print } END { exit found != 1 }' \
	"$file" >"$1/mended.go"
mv "$1/mended.go" "$file"

cp go.mod go.sum "$1"
go mod edit -replace="github.com/elastic/beats/v7=$1/beats" "$1/go.mod"
echo "$1/go.mod"
