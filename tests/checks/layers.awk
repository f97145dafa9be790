# Reads sources and prints the includes that the tables below do not allow.

function set_of(names, into,    list, n, i) {
    n = split(names, list, " ")
    for (i = 1; i <= n; i++)
        into[list[i]] = 1
}

# Layer NAME may include the layers in USES and itself.
function layer(name, uses,    list, n, i) {
    known[name] = 1
    may[name, name] = 1
    n = split(uses, list, " ")
    for (i = 1; i <= n; i++)
        may[name, list[i]] = 1
}

# Headers that match PATTERN may stand in files that match PLACES, and in no more than MOST of a
# layer's files (0: no matter how many).
function third_party(name, pattern, places, most) {
    parties++
    party_name[parties] = name
    party_pattern[parties] = pattern
    party_places[parties] = places
    party_most[parties] = most
}

function complain(text) {
    print FILENAME ":" FNR ": " text
}

BEGIN {
    layer("base", "")
    layer("model", "base")
    layer("codec", "base model")
    layer("core", "base model codec")
    layer("store", "base model codec")
    layer("mesh", "base model codec")
    layer("aws", "base model codec")
    layer("service", "base model codec core store mesh aws")
    layer("http", "base model codec core store mesh aws service")
    layer("agent", "base model codec core store mesh aws service http")
    layer("cli", "base model codec core store mesh aws service http agent")
    layer("main", "base model codec core store mesh aws service http agent cli")

    third_party("libidn2", "^idn2\\.h$", "^src/model/address\\.c$", 1)
    third_party("protobuf-c", "^(protobuf-c/.*|.*\\.pb-c\\.h)$", "^src/codec/", 0)
    third_party("libsodium", "^sodium(\\.h|/)", "^src/codec/", 0)
    third_party("xxHash", "^xxh(ash|3)\\.h$", "^src/codec/", 0)
    third_party("zstd", "^(zstd|zdict|zstd_errors)\\.h$", "^src/(codec/|core/unpack\\.c$|cli/export_file\\.c$)", 0)
    third_party("simdjson", "^simdjson", "^src/core/[^/]*\\.cc$", 1)
    third_party("RocksDB", "^rocksdb/", "^src/store/", 0)
    third_party("NNG", "^nng/", "^src/mesh/(nng_stream|tls_engine)\\.c$", 0)
    third_party("mbedTLS", "^mbedtls/", "^src/mesh/tls_", 0)
    third_party("libcurl", "^curl/", "^src/(aws|cli)/", 0)
    third_party("OpenSSL", "^openssl/", "^src/(aws|sim)/", 0)
    third_party("Jansson", "^jansson", "^src/(aws|http|cli|sim)/", 0)
    third_party("libmicrohttpd", "^microhttpd\\.h$", "^src/(http|sim)/", 0)
    third_party("zlib", "^zlib\\.h$", "^src/(core/unpack|cli/export_file)\\.c$", 1)
    third_party("libyaml", "^(yaml|cyaml/cyaml)\\.h$", "^src/agent/", 0)
    third_party("uthash", "^ut(hash|list|array|string)\\.h$", "^src/sim/", 0)

    set_of("assert.h ctype.h errno.h fenv.h float.h inttypes.h limits.h locale.h math.h setjmp.h" \
        " signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h" \
        " stdnoreturn.h string.h strings.h threads.h time.h uchar.h wchar.h wctype.h", system_headers)
    set_of("byteswap.h dirent.h dlfcn.h endian.h fcntl.h fnmatch.h ftw.h getopt.h glob.h grp.h" \
        " ifaddrs.h langinfo.h libgen.h malloc.h netdb.h poll.h pthread.h pwd.h regex.h sched.h" \
        " semaphore.h spawn.h syslog.h termios.h unistd.h wordexp.h", system_headers)
}

FNR == 1 {
    if (FILENAME ~ /^include\//)
        here = "include"
    else if (FILENAME ~ /^src\/[^\/]*$/)
        here = "main"
    else {
        split(FILENAME, part, "/")
        here = part[2]
    }
    if (here != "include" && here != "sim" && !(here in known))
        print FILENAME ":1: \"" here "\" is not a layer of the table in tests/checks/layers.awk"
}

# A quoted include of our own.
function own(header,    part) {
    if (here == "sim") {
        if (header ~ /\// && header !~ /^sim\//)
            complain("the simulator includes \"" header "\": it shares no code with what it checks")
        return
    }
    split(header, part, "/")
    if (part[1] == "supsync" && here != "include")
        return # the public headers need nobody
    if (here == "include") {
        if (part[1] != "supsync")
            complain("a public header includes \"" header "\"")
    } else if (header !~ /\//)
        complain("\"" header "\" is not written as \"layer/file.h\"")
    else if (!((here, part[1]) in may))
        complain("layer " here " includes \"" header "\"")
}

# A third party's header: returns 0 if it is not known as one.
function foreign(header,    i, key) {
    for (i = 1; i <= parties; i++) {
        if (header !~ party_pattern[i])
            continue
        if (FILENAME !~ party_places[i])
            complain(party_name[i] " (" header ") has no place in this file")
        key = party_name[i] SUBSEP here
        if (party_most[i] > 0 && !((key, FILENAME) in counted)) {
            counted[key, FILENAME] = 1
            if (++uses[key] > party_most[i])
                complain(party_name[i] " is behind one file of " here " already: " first_use[key])
            else
                first_use[key] = FILENAME
        }
        return 1
    }
    return 0
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    if (!foreign(quoted[2]))
        own(quoted[2])
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*/, "", header)
    if (foreign(header) || header in system_headers ||
        header ~ /^(sys|netinet|arpa|net|linux|sanitizer)\//)
        next
    if (header !~ /\./ && FILENAME ~ /\.cc$/)
        next # a header of the C++ library
    complain("<" header "> is neither C, POSIX nor a third party of the table")
}
