#include "clock.h"
#include "region.h"
#include "ses.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Looks like the live service's tokens: long, base64 with + / and =, so that clients that do not
 * encode it are found out. Inside: a prefix, then fields; a keyed hash guards them. */
#define FIELDS "%016" PRIx64 "%08" PRIx32 "%016" PRIx64 "%016" PRIx64

static void mac_of(const struct sim_request *r, const char *fields, char mac[65])
{
    unsigned char raw[32];
    sim_hmac_sha256(raw, r->region->name, strlen(r->region->name), fields, strlen(fields));
    sim_hex(mac, raw, sizeof raw);
}

void sim_page_token(const struct sim_request *r, uint64_t seq, uint32_t query_hash,
                    struct sim_buf *out)
{
    char fields[80], mac[65];
    snprintf(fields, sizeof fields, FIELDS, seq, query_hash,
             (uint64_t)atomic_load(&r->region->token_epoch), (uint64_t)sim_mono_ms());
    mac_of(r, fields, mac);
    struct sim_buf plain = {0};
    sim_buf_printf(&plain, "\x01\x80\x1e\xfb\xef\xbe?>%s%s", fields, mac);
    sim_base64(out, plain.data, plain.len);
    sim_buf_fini(&plain);
}

static bool read_plain(const struct sim_request *r, const char *text, uint32_t query_hash,
                       uint64_t *seq)
{
    char fields[80], mac[65];
    uint64_t hash, epoch, made;
    const size_t n = 16 + 8 + 16 + 16;
    memcpy(fields, text, n);
    fields[n] = 0;
    mac_of(r, fields, mac);
    if (strcmp(mac, text + n) != 0 || !sim_parse_hex(fields, 16, seq) ||
        !sim_parse_hex(fields + 16, 8, &hash) || !sim_parse_hex(fields + 24, 16, &epoch) ||
        !sim_parse_hex(fields + 40, 16, &made))
        return false;
    int64_t ttl = r->sim->options.token_ttl_ms;
    return hash == query_hash && epoch == atomic_load(&r->region->token_epoch) &&
           (!ttl || sim_mono_ms() - (int64_t)made <= ttl);
}

bool sim_page_token_read(const struct sim_request *r, const char *token, uint32_t query_hash,
                         uint64_t *seq)
{
    struct sim_buf plain = {0};
    bool ok = sim_base64_decode(&plain, token, strlen(token)) && plain.len == 8 + 56 + 64 &&
              strlen(plain.data) == plain.len && read_plain(r, plain.data + 8, query_hash, seq);
    sim_buf_fini(&plain);
    return ok;
}
