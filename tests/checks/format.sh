#!/usr/bin/env bash
# Sources are laid out as .clang-format says.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need clang-format

mapfile -t sources < <(files c cc h -- src include bench tests)
[ ${#sources[@]} -gt 0 ] || finish "no sources"

for source in "${sources[@]}"; do
    if ! messages=$(clang-format --dry-run -Werror "$source" 2>&1); then
        line=$(awk -F: 'NR == 1 { print $2 }' <<<"$messages")
        violation "$source:${line:-1}: not formatted (clang-format -i $source)"
    fi
done

finish "${#sources[@]} files"
