# shellcheck shell=bash
# What the checks share. A check takes the root of the tree to look at as its only argument (this
# repository when left out), prints one line "file:line: what is wrong" for each violation and ends
# with 1 if there was any, 77 if a tool it needs is missing (ctest shows the test as skipped), or 1
# for a missing tool as well when CI or SUPSYNC_CHECKS_STRICT is set.

set -euo pipefail
export LC_ALL=C

checks_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$checks_dir/../..}"

violations=0

violation() {
    printf '%s\n' "$*"
    violations=$((violations + 1))
}

# Ends the check: the number of violations, and what was looked at.
finish() {
    if [ "$violations" -gt 0 ]; then
        printf '%s: %d violation(s)\n' "$(basename "$0")" "$violations"
        exit 1
    fi
    printf '%s: ok, %s\n' "$(basename "$0")" "$*"
    exit 0
}

need() {
    local tool
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null 2>&1; then
            printf '%s: skipped: %s is not installed (deploy/setup.sh test installs it)\n' \
                "$(basename "$0")" "$tool"
            [ -z "${CI:-}${SUPSYNC_CHECKS_STRICT:-}" ] || exit 1
            exit 77
        fi
    done
}

# The files under the given directories whose names end in one of the extensions, one a line: those
# git knows, or all of them where there is no git (an unpacked release, the check of the checks).
# Usage: files EXTENSION… -- DIRECTORY…
files() {
    local pattern='' dirs=() dir
    while [ "$1" != -- ]; do
        pattern+="${pattern:+|}$1"
        shift
    done
    shift
    for dir in "$@"; do
        [ -e "$dir" ] && dirs+=("$dir")
    done
    [ ${#dirs[@]} -gt 0 ] || return 0
    if [ -e .git ] && command -v git >/dev/null 2>&1; then
        git -c safe.directory='*' ls-files -- "${dirs[@]}"
    else
        find "${dirs[@]}" -name build -prune -o -name node_modules -prune -o -type f -print |
            sed 's|^\./||'
    fi | grep -E "\.($pattern)\$" | sort | while IFS= read -r dir; do
        if [ -f "$dir" ]; then printf '%s\n' "$dir"; fi
    done || true
}
