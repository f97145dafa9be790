#ifndef SUP_CODEC_VALUE_H
#define SUP_CODEC_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/decision.h"
#include "model/vv.h"

#include <stdbool.h>
#include <stdint.h>

/* Values of the store: encoding and decoding between plain structs and protobuf
 * (proto/store.proto).
 *
 * Encoders append to a buffer and leave failure in it (buf->failed). Decoders check every limit,
 * give SUP_ECORRUPT for damaged bytes, SUP_EVERSION for a newer format, SUP_ELIMIT for what would
 * take too much memory and SUP_ENOMEM. What they return points either into the input or into a
 * struct sup_mem that the caller makes once, resets between values (it holds 1 MiB at most), and
 * frees. After a failure *out must not be used. Pure. */

struct sup_mem;                        /* memory of decoded values */
struct sup_mem *sup_mem_new(void);     /* NULL only when out of memory */
void sup_mem_reset(struct sup_mem *m); /* forgets what was decoded into it */
void sup_mem_free(struct sup_mem *m);  /* NULL is fine */

#define SUP_DECISION_MAX 8192 /* encoded; larger ones are refused */

/* Texts over their maximum (model/decision.h) are cut at a character boundary, when encoded and
 * when decoded; the encoder replaces invalid UTF-8, decoders refuse it. */
void sup_decision_encode(const struct sup_decision *d, struct sup_buf *out);
/* Appends p, which is present, to a decision that was encoded without. */
void sup_decision_add_prior(const struct sup_prior *p, struct sup_buf *out);
int sup_decision_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_decision *out,
                        struct sup_err *err);
/* Only what the merge needs; out->encoded is bytes. *cls may be NULL. */
int sup_register_decode(struct sup_slice bytes, struct sup_register *out, enum sup_class *cls,
                        struct sup_err *err);

struct sup_record {
    struct sup_registers registers;
    int64_t first_seen_ms;
    int64_t last_seen_ms;
};
void sup_record_encode(const struct sup_record *r, struct sup_buf *out);
/* The registers' encoded slices live in m. */
int sup_record_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_record *out,
                      struct sup_err *err);

struct sup_log_entry {
    struct sup_slice key;
    enum sup_class cls;
    struct sup_slice encoded;
};
void sup_log_entry_encode(const struct sup_log_entry *e, struct sup_buf *out);
int sup_log_entry_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_log_entry *out,
                         struct sup_err *err);
/* The entry's decision as the merge wants it; SUP_ECORRUPT if it is of another class than the entry
 * says, so that a decision never reaches the register of another class. */
int sup_log_entry_register(const struct sup_log_entry *e, struct sup_register *out,
                           struct sup_err *err);

void sup_quarantined_encode(const struct sup_log_entry *e, int64_t arrived_ms, struct sup_buf *out);
int sup_quarantined_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_log_entry *out,
                           int64_t *arrived_ms, struct sup_err *err);

enum sup_ses_op { SUP_SES_NONE = 0, SUP_SES_PUT = 1, SUP_SES_DELETE = 2 };

struct sup_ses_spelling {
    char spelling[SUP_ADDRESS_MAX + 1];
    bool present;
    enum sup_reason reason;
    int64_t last_update_ms; /* 0 = not known: never seen since we last put it */
    enum sup_ses_op write_op;
    enum sup_reason write_reason;
    int64_t write_begin_ms; /* 0 = we never wrote it */
    int64_t write_end_ms;
    bool unverified;  /* an event says that SES probably lists it; not looked up yet */
    int64_t noted_ms; /* when an event last said so; 0 = never */
};

/* More spellings of one address than this are not told apart: the list scan finds them. */
#define SUP_SPELLINGS_MAX 16

struct sup_ses_entry {
    struct sup_ses_spelling spellings[SUP_SPELLINGS_MAX];
    size_t n_spellings;
    int64_t outbox_due_ms;
    int64_t absent_since_ms; /* first scan in a row that found no spelling; 0 = none did so */
};
void sup_ses_entry_init(struct sup_ses_entry *e);
/* The entry of a spelling, added (absent) if there is room; NULL if there is none. */
struct sup_ses_spelling *sup_ses_entry_spelling(struct sup_ses_entry *e, const char *spelling);
void sup_ses_entry_encode(const struct sup_ses_entry *e, struct sup_buf *out);
int sup_ses_entry_decode(struct sup_slice bytes, struct sup_ses_entry *out, struct sup_err *err);

struct sup_outbox_entry {
    uint32_t attempts;
    char last_error[160];
    int64_t queued_ms;
    bool run; /* put there by a reconciliation: its calls count for that, and are not urgent */
};
void sup_outbox_entry_encode(const struct sup_outbox_entry *e, struct sup_buf *out);
int sup_outbox_entry_decode(struct sup_slice bytes, struct sup_outbox_entry *out,
                            struct sup_err *err);

#endif
