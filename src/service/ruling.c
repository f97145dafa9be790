/* Decisions by people and programs. */
#include "base/log.h"
#include "service/apply_txn.h"
#include "service/internal.h"

#include <string.h>

struct ruling_job {
    const struct sup_ruling *r;
    struct sup_address address;
};

static int check_ruling(struct ruling_job *j, const struct sup_ruling *r, struct sup_err *err)
{
    j->r = r;
    if (r->note[0] == '\0')
        return sup_err_set(err, SUP_EINPUT, "a note is needed: say why, for whoever asks later");
    if (strlen(r->note) > SUP_NOTE_MAX)
        return sup_err_set(err, SUP_EINPUT, "the note is longer than %d bytes", SUP_NOTE_MAX);
    if (strlen(r->actor) > SUP_ACTOR_MAX)
        return sup_err_set(err, SUP_EINPUT, "the actor is longer than %d bytes", SUP_ACTOR_MAX);
    return sup_address_parse(r->address, r->address_len, &j->address, err);
}

static void proposal(const struct ruling_job *j, enum sup_class cls, enum sup_state state,
                     struct sup_proposal *p)
{
    *p = (struct sup_proposal){
        .key = sup_slice_of(j->address.key, j->address.key_len),
        .d = {.cls = cls,
              .state = state,
              .cause = SUP_CAUSE_OPERATOR,
              .actor = sup_slice_str(j->r->actor[0] ? j->r->actor : "unknown"),
              .note = sup_slice_str(j->r->note),
              .evidence = {.spelling = sup_slice_of(j->address.spelling, j->address.spelling_len)}},
        .force_outbox = true,
    };
}

static int suppress_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct ruling_job *j = arg;
    struct sup_applied applied;
    struct sup_proposal p;

    proposal(j, j->r->cls, SUP_SUPPRESSED, &p);
    if (j->r->expires_in_ms > 0)
        p.d.expires_ms = sup_apply_now_ms(a) + j->r->expires_in_ms;
    return sup_apply_decide(a, t, &p, &applied, err);
}

int sup_service_suppress(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err)
{
    struct ruling_job j;
    int rc = check_ruling(&j, r, err);

    if (rc == SUP_OK && (r->cls < 1 || r->cls > SUP_N_CLASSES))
        rc = sup_err_set(err, SUP_EINPUT, "the reason must be bounce, complaint or manual");
    if (rc == SUP_OK && sup_address_is_simulator(&j.address))
        rc = sup_err_set(err, SUP_EINPUT, "mailbox simulator addresses are never suppressed");
    if (rc == SUP_OK)
        rc = sup_apply_run(s->apply, suppress_run, &j, err);
    if (rc == SUP_OK)
        sup_log_info("service", "suppressed by operator", SUP_S("address", j.address.key),
                     SUP_S("reason", sup_class_name(r->cls)), SUP_S("actor", r->actor));
    return rc;
}

/* Cleared are the bounce and manual registers, whether they hold something or not: an event or a
 * peer's decision that is older than this ruling may still be on its way. The complaint register is
 * left alone unless forced: a complaint that nobody here has seen yet must not be undone in
 * passing. */
static int clear_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    static const enum sup_class order[] = {SUP_CLASS_BOUNCE, SUP_CLASS_MANUAL, SUP_CLASS_COMPLAINT};
    const struct ruling_job *j = arg;
    struct sup_slice key = sup_slice_of(j->address.key, j->address.key_len);
    struct sup_mem *m = sup_mem_new();
    struct sup_record record;
    bool complaint;
    int rc;

    if (!m)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = sup_apply_record(a, t, key, m, &record, err);
    complaint =
        rc == SUP_OK &&
        sup_register_suppresses(&record.registers.r[SUP_CLASS_COMPLAINT - 1], sup_apply_now_ms(a));
    sup_mem_free(m);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    if (complaint && !j->r->force)
        return sup_err_set(err, SUP_EAUTH,
                           "%s is suppressed because its owner complained; clearing that takes "
                           "force",
                           j->address.key);
    rc = SUP_OK;
    for (size_t i = 0; rc == SUP_OK && i < (j->r->force ? 3U : 2U); i++) {
        struct sup_applied applied;
        struct sup_proposal p;
        proposal(j, order[i], SUP_CLEARED, &p);
        rc = sup_apply_decide(a, t, &p, &applied, err);
    }
    return rc;
}

int sup_service_clear(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err)
{
    struct ruling_job j;
    int rc = check_ruling(&j, r, err);

    if (rc == SUP_OK)
        rc = sup_apply_run(s->apply, clear_run, &j, err);
    if (rc == SUP_OK)
        sup_log_info("service", "cleared by operator", SUP_S("address", j.address.key),
                     SUP_S("actor", r->actor));
    return rc;
}
