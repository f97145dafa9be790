#!/usr/bin/env bash
# Calls that this code base does without. Comments and strings do not count. Running another program
# needs a comment in the same or the line before: "check: allows popen: why".
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need awk

mapfile -t sources < <(files c cc h -- src include bench tests)
[ ${#sources[@]} -gt 0 ] || finish "no sources"

report=$(awk '
# Without comments and the insides of strings; in_comment lives from line to line.
function code_of(line,    out, i, c, two, quote) {
    out = ""
    quote = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (in_comment) {
            if (two == "*/") {
                in_comment = 0
                i++
            }
        } else if (quote != "") {
            if (c == "\\")
                i++
            else if (c == quote)
                quote = ""
        } else if (two == "//")
            break
        else if (two == "/*") {
            in_comment = 1
            i++
        } else {
            if (c == "\"" || c == "\047")
                quote = c
            out = out c
        }
    }
    return out
}
function ban(names, why, places,    list, n, i) {
    n = split(names, list, " ")
    for (i = 1; i <= n; i++) {
        reason[list[i]] = why
        where[list[i]] = places
    }
}
BEGIN {
    ban("strcpy strcat stpcpy sprintf vsprintf gets", "writes without a bound", ".")
    ban("strncpy strncat", "leaves the NUL to luck", ".")
    ban("atoi atol atoll atof", "cannot tell an error", ".")
    ban("strtok gmtime localtime ctime asctime rand srand", "keeps hidden state", ".")
    ban("tmpnam tempnam mktemp", "races for its name", ".")
    ban("alloca", "has no limit", ".")
    ban("sleep usleep", "stands in place of a condition with a deadline", "^src/")
    ban("setlocale", "changes numbers and times for all threads", "^src/")
    ban("system popen", "runs a shell", "^src/")
}
FNR == 1 {
    in_comment = 0
    before = ""
}
{
    allowed = before $0
    before = $0
    rest = code_of($0)
    while (match(rest, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
        name = substr(rest, RSTART, RLENGTH - 1)
        previous = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
        rest = substr(rest, RSTART + RLENGTH)
        sub(/[ \t]+$/, "", name)
        if (!(name in reason) || FILENAME !~ where[name] || previous == "." || previous == ">")
            continue
        if ((name == "system" || name == "popen") && allowed ~ "check: allows " name ": ")
            continue
        print FILENAME ":" FNR ": " name "() " reason[name]
    }
}' "${sources[@]}")
while IFS= read -r line; do
    [ -z "$line" ] || violation "$line"
done <<<"$report"

finish "${#sources[@]} files"
