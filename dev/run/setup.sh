#!/bin/sh
# Sets up a store and ends: setup.sh mongodb|elasticsearch
. "$(dirname "$0")/lib.sh"

exec "$PHAROS_STATE/bin/pharos" setup "$1"
