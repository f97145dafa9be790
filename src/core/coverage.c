#include "core/coverage.h"

#include <stdio.h>

static bool is_nothing(const struct sup_suppression *s)
{
    return s == NULL || !s->given || (!s->has_reasons && s->scope == SUP_SCOPE_NONE);
}

/* A tenant without settings has null in both; what is there comes in pairs. Options of a set that
 * lack reasons may be inherited, or mean none: nobody says. An empty block is such a one. */
static bool speaks_of_reasons(const struct sup_suppression *s, enum sup_level level)
{
    if (level == SUP_LEVEL_TENANT)
        return !is_nothing(s);
    return s != NULL && s->given;
}

static void take(struct sup_effective *e, const struct sup_suppression *s, enum sup_level level)
{
    if (speaks_of_reasons(s, level)) {
        e->reasons_known = s->has_reasons;
        e->reasons = s->has_reasons ? s->reasons & SUP_COVERS_ALL : 0;
        e->reasons_from = level;
    }
    if (s != NULL && s->given && s->scope != SUP_SCOPE_NONE) {
        e->scope = s->scope;
        e->scope_from = level;
    }
}

void sup_coverage_effective(const struct sup_suppression *account,
                            const struct sup_suppression *tenant, const struct sup_suppression *set,
                            struct sup_effective *out)
{
    /* The account's reasons are known: of a list that is absent or empty nothing is effective. */
    *out = (struct sup_effective){.reasons_known = true, .scope = SUP_SCOPE_ACCOUNT};
    if (account->given && account->has_reasons)
        out->reasons = account->reasons & SUP_COVERS_ALL;
    take(out, tenant, SUP_LEVEL_TENANT);
    take(out, set, SUP_LEVEL_SET);
}

unsigned sup_coverage_protects(const struct sup_effective *e)
{
    return e->scope == SUP_SCOPE_ACCOUNT && e->reasons_known ? e->reasons : 0;
}

static unsigned reason_gaps(const struct sup_effective *e)
{
    unsigned lacks = SUP_COVERS_ALL & ~e->reasons;

    if (!e->reasons_known)
        return SUP_GAP_REASONS;
    return (lacks & (unsigned)SUP_REASON_BOUNCE ? SUP_GAP_BOUNCE : 0U) |
           (lacks & (unsigned)SUP_REASON_COMPLAINT ? SUP_GAP_COMPLAINT : 0U);
}

static unsigned scope_gaps(const struct sup_effective *e)
{
    if (e->scope == SUP_SCOPE_ACCOUNT)
        return 0;
    return e->scope == SUP_SCOPE_TENANT ? SUP_GAP_TENANTS_LIST : SUP_GAP_UNKNOWN_SCOPE;
}

unsigned sup_coverage_gaps(const struct sup_effective *e)
{
    return reason_gaps(e) | scope_gaps(e);
}

unsigned sup_coverage_own_gaps(const struct sup_effective *e, enum sup_level level)
{
    return (e->reasons_from == level ? reason_gaps(e) : 0U) |
           (e->scope_from == level ? scope_gaps(e) : 0U);
}

static const char *reasons_text(enum sup_level level, unsigned gaps)
{
    switch (gaps & (SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT)) {
    case SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT:
        return level == SUP_LEVEL_ACCOUNT ? "no entry suppresses" : "suppresses nothing at all";
    case SUP_GAP_BOUNCE:
        return "entries of reason BOUNCE do not suppress";
    default:
        return "entries of reason COMPLAINT do not suppress";
    }
}

static const char *reasons_remedy(enum sup_level level)
{
    static const char *const remedies[] = {
        [SUP_LEVEL_ACCOUNT] = ("set SuppressedReasons to BOUNCE and COMPLAINT, or "
                               "ses.manage_account_attributes: true"),
        [SUP_LEVEL_TENANT] = "give it both reasons, or take its SuppressionAttributes away",
        [SUP_LEVEL_SET] = "give it both reasons, or take its SuppressionOptions away"};
    return remedies[level];
}

static void head(enum sup_level level, const char *name, char *out, size_t n)
{
    if (level == SUP_LEVEL_ACCOUNT)
        snprintf(out, n, "account: ");
    else
        snprintf(out, n, "%s %.64s: ", level == SUP_LEVEL_TENANT ? "tenant" : "configuration set",
                 name);
}

static void scope_text(enum sup_level level, unsigned gaps, const char *who, char *out, size_t n)
{
    if (gaps & SUP_GAP_UNKNOWN_SCOPE)
        snprintf(out, n, "%sits SuppressionScope is not known to this version", who);
    else if (level == SUP_LEVEL_SET)
        snprintf(
            out, n,
            "%slooks at tenants' lists only (SuppressionScope TENANT): the account's list does "
            "not protect; set it to ACCOUNT",
            who);
    else
        snprintf(out, n,
                 "%shas a list of its own (SuppressionScope TENANT): the account's list does not "
                 "protect; set it to ACCOUNT",
                 who);
}

size_t sup_coverage_explain(enum sup_level level, const char *name, unsigned gaps,
                            char (*out)[SUP_COVERAGE_TEXT_MAX + 1], size_t max)
{
    char who[96];
    size_t n = 0;

    head(level, name, who, sizeof(who));
    if (gaps & SUP_GAP_REASONS && n < max)
        snprintf(out[n++], sizeof(out[0]),
                 "%sits settings name no reasons, and what SES makes of that is not documented: "
                 "give it BOUNCE and COMPLAINT",
                 who);
    else if (gaps & (SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT) && n < max)
        snprintf(out[n++], sizeof(out[0]), "%s%s: %s", who, reasons_text(level, gaps),
                 reasons_remedy(level));
    if (gaps & (SUP_GAP_TENANTS_LIST | SUP_GAP_UNKNOWN_SCOPE) && n < max)
        scope_text(level, gaps, who, out[n++], sizeof(out[0]));
    return n;
}
