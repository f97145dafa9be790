#!/usr/bin/env bash
# clang-tidy finds nothing in src, with the checks of .clang-tidy. It takes minutes, so it is not
# among the tests: run it by hand, with a build directory that cmake has made (compile_commands.json).
#
#   tests/checks/tidy.sh [BUILD-DIRECTORY] [FILE-PATTERN…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:-build/release}
shift || true
if [ ! -f "$build/compile_commands.json" ]; then
    printf 'tidy.sh: %s has no compile_commands.json: cmake --preset release makes it\n' "$build" >&2
    exit 2
fi
if [ $# -eq 0 ]; then
    set -- '/src/[^/]*/[^/]*\.c$' '/src/main\.c$'
fi
exec run-clang-tidy -quiet -p "$build" -j "$(nproc)" "$@"
