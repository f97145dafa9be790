#!/usr/bin/env bash
# Includes follow the layers: each layer includes itself and the layers before it, the three in the
# middle (store, mesh, aws) do not know each other or core, the simulator knows none of them, a
# third party's header appears only where the table allows it, and no includes go in circles.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need awk tsort

mapfile -t sources < <(files c cc h -- src include)
[ ${#sources[@]} -gt 0 ] || finish "no sources"

report=$(awk -f "$checks_dir/layers.awk" "${sources[@]}")
while IFS= read -r line; do
    [ -z "$line" ] || violation "$line"
done <<<"$report"

# tsort names the members of each loop on its standard error.
edges=$(grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+"' "${sources[@]}" |
    awk -F: '{
        split($2, part, "\""); included = part[2]; from = $1
        if (from ~ /^src\/sim\//)
            included = included ~ /^sim\// ? "src/" included : "src/sim/" included
        else if (included ~ /^supsync\//)
            included = "include/" included
        else
            included = "src/" included
        print from, included
    }')
if ! loops=$(tsort <<<"$edges" 2>&1 >/dev/null); then
    while IFS= read -r line; do
        violation "includes go in circles: ${line#tsort: }"
    done <<<"$loops"
fi

finish "${#sources[@]} files"
