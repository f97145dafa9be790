#!/usr/bin/env bash
# clang-tidy finds nothing in src, with the checks of .clang-tidy. A false alarm is silenced where it
# is, with "// NOLINT(name): why". This one takes a minute or two, so it has the label "tidy" for
# itself, and it needs a build directory for its compile_commands.json:
#
#   tests/checks/tidy.sh [BUILD-DIRECTORY [FILE-PATTERN…]]
build=${1:-}
shift || true
patterns=("$@")
set -- ${SUPSYNC_CHECKS_ROOT:+"$SUPSYNC_CHECKS_ROOT"} # another tree: the check of the checks
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need run-clang-tidy

build=${build:-build/release}
if [ ! -f "$build/compile_commands.json" ]; then
    printf 'tidy.sh: %s has no compile_commands.json: cmake --preset release makes it\n' "$build"
    exit 1
fi
[ ${#patterns[@]} -gt 0 ] || patterns=('/src/[^/]*/[^/]*\.c$' '/src/main\.c$')

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
run-clang-tidy -quiet -p "$build" -j "$(nproc)" "${patterns[@]}" >"$log" 2>&1 || status=$?
# The same finding in a header comes once for each file that includes it.
while IFS= read -r line; do
    violation "$line"
done < <(sed -e 's/\x1b\[[0-9;]*m//g' -e "s|^$PWD/||" "$log" | grep -E '^[^ ]+: (warning|error):' | sort -u)
if [ "$status" -ne 0 ] && [ "$violations" -eq 0 ]; then
    cat "$log"
    violation "run-clang-tidy ended with $status"
fi

finish "$(grep -c '^clang-tidy' "$log" || true) files"
