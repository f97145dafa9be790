#!/usr/bin/env bash
# Compares the traces of the fixed cases with golden/; golden.sh SIM-MESH --update writes them anew.
set -euo pipefail
sim=$1
cd "$(dirname "${BASH_SOURCE[0]}")/golden"
different=0
for name in two partition restore wipe future new join; do
    if [ "${2:-}" = --update ]; then
        "$sim" --scenario "$name" >"$name.txt"
    elif ! "$sim" --scenario "$name" | diff -u "$name.txt" -; then
        different=1
    fi
done
exit "$different"
