#ifndef SUP_MODEL_DECISION_H
#define SUP_MODEL_DECISION_H

#include "base/buf.h"
#include "model/address.h"
#include "model/hlc.h"

#include <stdbool.h>
#include <stdint.h>

/* Decisions, registers, records: what is known about one address. */

/* One last-writer-wins register per (address key, reason class). Numbers are stored and sent: never
 * renumber. */
enum sup_class { SUP_CLASS_BOUNCE = 1, SUP_CLASS_COMPLAINT = 2, SUP_CLASS_MANUAL = 3 };
#define SUP_N_CLASSES 3
const char *sup_class_name(enum sup_class c);             /* "bounce" …, never NULL */
bool sup_class_parse(const char *s, enum sup_class *out); /* case-blind */

enum sup_state { SUP_CLEARED = 0, SUP_SUPPRESSED = 1 };

/* How a decision came about. Numbers are stored and sent: never renumber. */
enum sup_cause {
    SUP_CAUSE_UNKNOWN = 0,
    SUP_CAUSE_EVENT = 1, /* a live SES event: bounce or complaint */
    SUP_CAUSE_GLOBAL_LIST =
        2,                  /* bounce Permanent/Suppressed: SES's own global list; weak evidence */
    SUP_CAUSE_NOT_SPAM = 3, /* feedback type not-spam: reverses a complaint */
    SUP_CAUSE_OPERATOR = 4, /* a person, or a program through the API */
    SUP_CAUSE_ADOPTED = 5,  /* found in, or gone from, a Region's SES list */
    SUP_CAUSE_BACKFILL = 6, /* an archived event */
    SUP_CAUSE_ESCALATION = 7,       /* soft bounces in a row */
    SUP_CAUSE_IMPORT = 8,           /* bulk import */
    SUP_CAUSE_ADOPTED_FEEDBACK = 9, /* adopted: SES says that its own feedback added it */
    SUP_CAUSE_ADOPTED_MANUAL = 10   /* adopted: SES says that somebody's put added it */
};
#define SUP_CAUSE_LAST SUP_CAUSE_ADOPTED_MANUAL
const char *sup_cause_name(enum sup_cause c);

/* Longest texts that a decision carries; longer input is cut at a character boundary. */
#define SUP_ACTOR_MAX    128
#define SUP_NOTE_MAX     1024
#define SUP_EVIDENCE_MAX 512

/* Where the evidence is, for the person who asks why. All optional. */
struct sup_evidence {
    struct sup_slice region;      /* Region whose event it was */
    struct sup_slice feedback_id; /* SES feedbackId */
    struct sup_slice message_id;  /* SES messageId */
    struct sup_slice sub_type;    /* "Permanent/General", "abuse" … */
    struct sup_slice status;      /* enhanced status code, RFC 3463 */
    struct sup_slice diagnostic;  /* the remote server's words */
    struct sup_slice spelling;    /* the address as the event wrote it */
};

/* The decision that a register held when its node made the next one: the largest that it had seen.
 * So whatever is larger than that was not seen, and what is not is known to be overruled. */
struct sup_prior {
    bool present;
    enum sup_state state;
    sup_hlc_time time;
    uint64_t origin;
};

/* The value of a register. Texts are slices into memory that somebody else owns: what made the
 * decision says who (for a decoded one, its struct sup_decision_mem in codec/value.h). */
struct sup_decision {
    enum sup_class cls;
    enum sup_state state;
    enum sup_cause cause;
    sup_hlc_time time;
    uint64_t origin; /* node id of the deciding node */
    struct sup_slice actor;
    struct sup_slice note;
    int64_t expires_ms; /* wall time when a suppression ends by itself; 0 = never */
    struct sup_evidence evidence;
    struct sup_prior prior;
};

/* What the merge needs of a decision, and its encoded bytes, which travel and are stored verbatim:
 * a field that this version does not know survives a hop, and every node has the same bytes. */
struct sup_register {
    bool present;
    enum sup_state state;
    sup_hlc_time time;
    uint64_t origin;
    int64_t expires_ms;
    struct sup_prior prior;
    struct sup_slice encoded; /* owned by whoever decoded or encoded it */
};

/* The registers of one address, indexed by class - 1. */
struct sup_registers {
    struct sup_register r[SUP_N_CLASSES];
};

/* SES's two reasons. */
enum sup_reason { SUP_REASON_NONE = 0, SUP_REASON_BOUNCE = 1, SUP_REASON_COMPLAINT = 2 };
const char *sup_reason_name(enum sup_reason r); /* "BOUNCE", "COMPLAINT", "" */

/* A register suppresses when its decision does and has not expired at now_ms. */
bool sup_register_suppresses(const struct sup_register *r, int64_t now_ms);

/* An address is suppressed if any register is. The reason written to SES is COMPLAINT if the
 * complaint register suppresses, else BOUNCE; NONE when not suppressed. *which (may be NULL) is the
 * class that decides the answer: complaint, then bounce, then manual; when cleared, the newest
 * register's. */
enum sup_reason sup_registers_effective(const struct sup_registers *rs, int64_t now_ms,
                                        enum sup_class *which);

/* A decision on its way: what is logged, replicated and merged. */
struct sup_mutation {
    uint64_t incarnation; /* origin incarnation whose log it belongs to */
    uint64_t seq;         /* 1, 2, 3 … within it */
    struct sup_slice key; /* address key */
    enum sup_class cls;
    struct sup_slice encoded; /* the decision */
};

#endif
