#include "mesh/expiry.h"

#define FORTNIGHT_MS (14 * 86400000LL)

int64_t sup_expiry_warn_ms(int64_t from_ms, int64_t until_ms)
{
    int64_t quarter = until_ms > from_ms ? (until_ms - from_ms) / 4 : 0;

    return quarter < FORTNIGHT_MS ? quarter : FORTNIGHT_MS;
}

enum sup_crl_state sup_crl_state(int64_t now_ms, int64_t next_update_ms, int64_t grace_ms)
{
    if (next_update_ms == 0 || now_ms <= next_update_ms)
        return SUP_CRL_CURRENT;
    return now_ms - next_update_ms <= grace_ms ? SUP_CRL_LATE : SUP_CRL_STALE;
}
