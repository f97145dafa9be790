#!/usr/bin/env bash
# cppcheck finds nothing in src. A false alarm is silenced where it is, with
# "// cppcheck-suppress id ; why". Results are kept in SUPSYNC_CPPCHECK_CACHE (under build/ when
# unset), so that only files that changed are looked at again.
# shellcheck source=tests/checks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need cppcheck

mapfile -t sources < <(files c -- src bench)
[ ${#sources[@]} -gt 0 ] || finish "no sources"

not_wanted=(
    --suppress=missingIncludeSystem # it knows the C library from a table, not from its headers
    --suppress=uninitvar            # blind to structs filled through pointers; gcc and clang-tidy look
    --suppress=readdirCalled        # glibc: readdir is safe on a stream of one's own, readdir_r obsolete
)
cache=${SUPSYNC_CPPCHECK_CACHE:-build/cppcheck}
mkdir -p "$cache"
if ! messages=$(cppcheck --quiet -j2 --std=c17 --library=gnu,posix --inline-suppr \
    --enable=warning,performance,portability --error-exitcode=1 "${not_wanted[@]}" \
    --cppcheck-build-dir="$cache" --template='{file}:{line}: {id}: {message}' \
    -D_GNU_SOURCE '-DSUPSYNC_VERSION="0"' -Isrc -Isrc/sim -Iinclude "${sources[@]}" 2>&1); then
    violation "$messages"
fi

finish "${#sources[@]} files"
