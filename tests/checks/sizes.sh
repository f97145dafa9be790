#!/usr/bin/env bash
# Files and functions stay small: no .c file above 900 lines, no private header above 120, no
# function above 100 (counted from its { to its }); over src as a whole the median .c file has at
# most 300 lines, the median function at most 15, and nine functions of ten at most 50. Functions are
# found by the layout that clang-format gives them. Exceptions stand in sizes.allow with a reason.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need awk

allow=tests/checks/sizes.allow
[ -f "$allow" ] || allow=/dev/null
mapfile -t sources < <(files c cc h -- src bench tests)
[ ${#sources[@]} -gt 0 ] || finish "no sources"

report=$(awk -v allow="$allow" '
BEGIN {
    while ((getline line < allow) > 0) {
        if (line ~ /^[ \t]*(#|$)/)
            continue
        n = split(line, word, /[ \t]+/)
        if (n < 3)
            print allow ": no reason given: " line
        allowed[word[1]] = 1
    }
}
function too_long(what, where, lines, most) {
    if (lines <= most)
        return
    if (what in allowed)
        used[what] = 1
    else
        print where ": " what " has " lines " lines, more than " most
}
function end_of_file() {
    if (file ~ /\.(c|cc)$/) {
        too_long(file, file ":1", lines, 900)
        if (file ~ /^src\//)
            sizes[++n_files] = lines
    } else if (file ~ /^src\/.*\.h$/)
        too_long(file, file ":1", lines, 120)
}
FNR == 1 {
    if (file != "")
        end_of_file()
    file = FILENAME
    inside = 0
    name = ""
}
{ lines = FNR }
FILENAME ~ /\.h$/ { next }
/^[A-Za-z_].*\(/ {
    name = $0
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
}
/^{$/ {
    inside = 1
    start = FNR
}
/^}/ && inside {
    inside = 0
    length_ = FNR - start + 1
    if (FILENAME !~ /^tests\//)
        too_long(name, FILENAME ":" start, length_, 100)
    if (FILENAME ~ /^src\//)
        functions[++n_functions] = length_
}
function sort_numbers(a, n,    i, j, v) {
    for (i = 2; i <= n; i++) {
        v = a[i]
        for (j = i - 1; j >= 1 && a[j] > v; j--)
            a[j + 1] = a[j]
        a[j + 1] = v
    }
}
function at_most(what, value, most) {
    if (value > most)
        print "src: " what " has " value " lines, more than " most
}
END {
    end_of_file()
    for (what in allowed) {
        if (!(what in used))
            print allow ": not needed any more: " what
    }
    sort_numbers(sizes, n_files)
    sort_numbers(functions, n_functions)
    if (n_files > 0)
        at_most("the median .c file", sizes[int((n_files + 1) / 2)], 300)
    if (n_functions > 0) {
        at_most("the median function", functions[int((n_functions + 1) / 2)], 15)
        at_most("the function at nine tenths", functions[int((n_functions * 9 + 9) / 10)], 50)
        printf "#%d files, %d functions: median %d lines, at nine tenths %d, longest %d\n", n_files,
            n_functions, functions[int((n_functions + 1) / 2)],
            functions[int((n_functions * 9 + 9) / 10)], functions[n_functions]
    }
}' "${sources[@]}")
summary=
while IFS= read -r line; do
    case $line in
    '') ;;
    '#'*) summary=${line#?} ;;
    *) violation "$line" ;;
    esac
done <<<"$report"

finish "${summary:-${#sources[@]} files}"
