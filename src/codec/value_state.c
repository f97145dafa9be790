/* Values of the ses and outbox column families: this node's own state, never replicated. */
#include "base/text.h"
#include "codec/pb_arena.h"
#include "codec/value.h"
#include "store.pb-c.h"

#include <stdio.h>
#include <string.h>

#define SES_FORMAT 1
#define MEM_MAX    (1U << 20)

void sup_ses_entry_init(struct sup_ses_entry *e)
{
    e->n_spellings = 0;
    e->outbox_due_ms = 0;
    e->absent_since_ms = 0;
}

struct sup_ses_spelling *sup_ses_entry_spelling(struct sup_ses_entry *e, const char *spelling)
{
    struct sup_ses_spelling *s;

    for (size_t i = 0; i < e->n_spellings; i++) {
        if (strcmp(e->spellings[i].spelling, spelling) == 0)
            return &e->spellings[i];
    }
    if (e->n_spellings == SUP_SPELLINGS_MAX || strlen(spelling) > SUP_ADDRESS_MAX)
        return NULL;
    s = &e->spellings[e->n_spellings++];
    memset(s, 0, sizeof(*s));
    sup_text_copy(s->spelling, sizeof(s->spelling), spelling);
    return s;
}

void sup_ses_entry_encode(const struct sup_ses_entry *e, struct sup_buf *out)
{
    Supsync__Store__SesEntry msg = SUPSYNC__STORE__SES_ENTRY__INIT;
    Supsync__Store__SesSpelling spellings[SUP_SPELLINGS_MAX];
    Supsync__Store__SesSpelling *pointers[SUP_SPELLINGS_MAX];

    msg.format = SES_FORMAT;
    msg.outbox_due_ms = e->outbox_due_ms;
    msg.absent_since_ms = e->absent_since_ms;
    msg.n_spellings = e->n_spellings;
    msg.spellings = pointers;
    for (size_t i = 0; i < e->n_spellings; i++) {
        const struct sup_ses_spelling *s = &e->spellings[i];
        supsync__store__ses_spelling__init(&spellings[i]);
        spellings[i].spelling = (char *)(uintptr_t)s->spelling;
        spellings[i].present = s->present;
        spellings[i].reason = (uint32_t)s->reason;
        spellings[i].last_update_ms = s->last_update_ms;
        spellings[i].write_op = (uint32_t)s->write_op;
        spellings[i].write_reason = (uint32_t)s->write_reason;
        spellings[i].write_begin_ms = s->write_begin_ms;
        spellings[i].write_end_ms = s->write_end_ms;
        spellings[i].unverified = s->unverified;
        spellings[i].noted_ms = s->noted_ms;
        pointers[i] = &spellings[i];
    }
    sup_pb_pack(&msg.base, out);
}

static int spelling_decode(const Supsync__Store__SesSpelling *in, struct sup_ses_entry *e,
                           struct sup_err *err)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(e, in->spelling);

    if (!s || s->spelling[0] == '\0' || in->reason > SUP_REASON_COMPLAINT ||
        in->write_op > SUP_SES_DELETE || in->write_reason > SUP_REASON_COMPLAINT)
        return sup_err_set(err, SUP_ECORRUPT, "damaged SES entry");
    s->present = in->present;
    s->reason = (enum sup_reason)in->reason;
    s->last_update_ms = in->last_update_ms;
    s->write_op = (enum sup_ses_op)in->write_op;
    s->write_reason = (enum sup_reason)in->write_reason;
    s->write_begin_ms = in->write_begin_ms;
    s->write_end_ms = in->write_end_ms;
    s->unverified = in->unverified;
    s->noted_ms = in->noted_ms;
    return SUP_OK;
}

int sup_ses_entry_decode(struct sup_slice bytes, struct sup_ses_entry *out, struct sup_err *err)
{
    const Supsync__Store__SesEntry *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    sup_ses_entry_init(out);
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__ses_entry__descriptor, &a, bytes, "SES entry", &rc, err);
    if (rc == SUP_OK && msg->format < 1)
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged SES entry (no format)");
    else if (rc == SUP_OK && msg->format > SES_FORMAT)
        rc = sup_err_set(err, SUP_EVERSION, "SES entry of format %u; this program knows up to %d",
                         msg->format, SES_FORMAT);
    for (size_t i = 0; rc == SUP_OK && i < msg->n_spellings; i++)
        rc = spelling_decode(msg->spellings[i], out, err);
    if (rc == SUP_OK) {
        out->outbox_due_ms = msg->outbox_due_ms;
        out->absent_since_ms = msg->absent_since_ms;
    }
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_outbox_entry_encode(const struct sup_outbox_entry *e, struct sup_buf *out)
{
    Supsync__Store__OutboxEntry msg = SUPSYNC__STORE__OUTBOX_ENTRY__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.attempts = e->attempts;
    /* What a server said, cut somewhere by snprintf: it may be any bytes. */
    msg.last_error =
        sup_pb_text(&a, sup_slice_of(e->last_error, strnlen(e->last_error, sizeof(e->last_error))),
                    sizeof(e->last_error) - 1);
    msg.queued_ms = e->queued_ms;
    msg.run = e->run;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_outbox_entry_decode(struct sup_slice bytes, struct sup_outbox_entry *out,
                            struct sup_err *err)
{
    const Supsync__Store__OutboxEntry *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__outbox_entry__descriptor, &a, bytes, "outbox entry", &rc,
                        err);
    if (rc == SUP_OK) {
        struct sup_slice text = sup_slice_str(msg->last_error);
        out->attempts = msg->attempts;
        out->queued_ms = msg->queued_ms;
        out->run = msg->run;
        sup_text_copy(out->last_error, sizeof(out->last_error),
                      sup_pb_text(&a, text, sizeof(out->last_error) - 1));
    }
    sup_pb_arena_reset(&a);
    return rc;
}
