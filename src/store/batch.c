#include "store/batch.h"

#include "base/clock.h"

/* A failed job leaves nothing behind: neither its writes nor an error that its writes or reads left
 * in the transaction. */
static void run_job(struct sup_batch_slot *o, struct sup_txn *t)
{
    o->err.code = SUP_OK;
    o->err.msg[0] = '\0';
    sup_txn_mark(t);
    int code = o->job->run(o->job, t, &o->err);
    if (code != SUP_OK) {
        o->err.code = code;
        sup_txn_rollback_to_mark(t);
    } else if (sup_txn_status(t, &o->err) != SUP_OK) {
        sup_txn_rollback_to_mark(t);
    } else {
        o->err.code = SUP_OK; /* a text that run left behind on its way to success */
    }
}

int sup_batch_run(const struct sup_writer_opts *opts, struct sup_batch_slot *slots, size_t n,
                  int64_t *commit_us, struct sup_err *err)
{
    struct sup_txn *t = sup_txn_begin(opts->store);
    int code = SUP_OK;

    *commit_us = 0;
    if (t == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (opts->begin != NULL)
        code = opts->begin(opts->arg, t, err);
    for (size_t i = 0; i < n && code == SUP_OK; i++)
        run_job(&slots[i], t);
    if (code == SUP_OK && opts->end != NULL)
        code = opts->end(opts->arg, t, err);
    if (code == SUP_OK) {
        int64_t begun = sup_mono_ns();
        code = sup_txn_commit(t, true, err);
        *commit_us = (sup_mono_ns() - begun) / 1000;
        return code;
    }
    sup_txn_abort(t);
    return code;
}

void sup_batch_finish(const struct sup_writer_opts *opts, struct sup_batch_slot *slots, size_t n,
                      int code, const struct sup_err *err)
{
    if (opts->committed != NULL)
        opts->committed(opts->arg, code);
    for (size_t i = 0; i < n; i++) {
        struct sup_batch_slot *o = &slots[i];
        const struct sup_err *e = code != SUP_OK ? err : &o->err;
        o->job->done(o->job, e->code, e);
    }
}
