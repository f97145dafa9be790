#!/usr/bin/env bash
# All shell scripts, with or without a name in .sh, pass shellcheck without a finding.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need shellcheck

scripts=()
while IFS= read -r file; do
    case $file in
    *.sh) scripts+=("$file") ;;
    *)
        IFS= read -r first <"$file" || true
        case ${first:-} in
        '#!'*/sh | '#!'*/bash | '#!'*'env sh' | '#!'*'env bash') scripts+=("$file") ;;
        esac
        ;;
    esac
done < <(files sh -- . && find .ci deploy bench tests -name node_modules -prune -o \
    -type f ! -name '*.*' -size -100k -print 2>/dev/null | sort)
[ ${#scripts[@]} -gt 0 ] || finish "no scripts"

for script in "${scripts[@]}"; do
    if ! messages=$(shellcheck -x -f gcc "$script" 2>&1); then
        violation "$messages"
    fi
done

finish "${#scripts[@]} scripts"
