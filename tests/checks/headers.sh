#!/usr/bin/env bash
# Each header compiles alone, and twice in a row, and has the include guard SUP_LAYER_FILE_H.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cc=${CC:-gcc}
need "$cc"

generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
mapfile -t protos < <(files proto -- proto)
if [ ${#protos[@]} -gt 0 ]; then
    need protoc-c
    protoc-c --c_out="$generated" -Iproto "${protos[@]}"
fi

flags=(-std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 '-DSUPSYNC_VERSION="0"' -fsyntax-only -Wall
    -Wextra -Wformat=2 -Wshadow -Wpointer-arith -Wcast-align -Wundef -Wvla -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wdouble-promotion -Werror)

mapfile -t headers < <(files h -- src include)
for header in "${headers[@]}"; do
    case $header in
    include/*) name=${header#include/} dirs=(-Iinclude) ;;
    src/sim/*) name=${header#src/sim/} dirs=(-Isrc/sim) ;;
    *) name=${header#src/} dirs=(-Isrc -Iinclude -isystem "$generated") ;;
    esac

    guard=${header#src/}
    guard=${guard#include/supsync/}
    guard=SUP_$(tr 'a-z/.-' 'A-Z___' <<<"$guard")
    case $header in
    include/*) alternative=${guard/#SUP_/SUPSYNC_} ;; # other programs see it: the full name
    *) alternative=${guard/#SUP_SIM_/SIM_} ;;         # a program of its own, without layers
    esac
    found=$(awk '/^#[ \t]*ifndef/ { print $2; exit } /^#/ { exit }' "$header")
    if [ "$found" != "$guard" ] && [ "$found" != "$alternative" ]; then
        violation "$header:1: include guard is ${found:-missing}, not $guard"
    fi
    if ! messages=$(printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
        "$cc" "${flags[@]}" "${dirs[@]}" -x c - 2>&1); then
        violation "$header:1: does not compile alone"
        printf '%s\n' "$messages"
    fi
done

finish "${#headers[@]} headers"
