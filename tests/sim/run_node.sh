#!/usr/bin/env bash
# Runs a test written for Node with the clients of tests/node, which are installed when missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
node=$("$here/../node/install.sh" | tail -n 1)
export NODE_PATH=$here/../node/node_modules
exec "$node" --test "$@"
