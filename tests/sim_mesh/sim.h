#ifndef SIM_H
#define SIM_H

#include "base/random.h"
#include "codec/value.h"
#include "core/repair_when.h"
#include "core/replica.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"
#include "service/join_store.h"
#include "service/replicate_log.h"
#include "service/sketch_keeper.h"
#include "service/snapshot.h"
#include "store/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole mesh in virtual time: one thread, one seed. Each node is a store in memory, the product's
 * apply and the product's replica; the network between them, the disks' accidents, the clocks and
 * the operators are played here. Whatever is random comes from the seed. */

#define SIM_NODES_MAX     30
#define SIM_KEYS_MAX      8
#define SIM_DRIFT_MS      60000
#define SIM_LATENCY_MS    150 /* one way, at most, of a link that is well */
#define SIM_DECISIONS_MAX 1024
/* Few: what is checked is that each change reaches all parts of a sketch. */
#define SIM_SYMBOLS 32

/* Bugs that the simulation must find: tests of the tests. They live here, not in the product. */
enum sim_plant {
    PLANT_NONE,
    PLANT_REUSED_INCARNATION, /* a wiped or restored store goes on under its old name */
    PLANT_TRIM_EARLY,         /* the log is trimmed without asking for acknowledgements */
    PLANT_MERGE_BY_ARRIVAL,   /* of two decisions of one time the first to arrive stays */
    PLANT_EARLY_ACK,          /* mutations are acknowledged before their commit */
    PLANT_DROPPED_QUARANTINE, /* mutations from the future are forgotten */
    PLANT_EARLY_ADOPTION,     /* the vector is taken over before the repair is through */
    PLANT_STALE_SKETCH,       /* the sketch does not follow when a record is overwritten */
    PLANT_VECTOR_FIRST,       /* who joins takes the donor's vector over with the first chunk */
    PLANT_VECTOR_OF_LAST,     /* … that of the last donor, whatever the others covered */
    PLANT_RECORD_SKIPPED,     /* a copy goes on behind the record that is next */
    PLANT_COPY_WITH_HOLE,     /* a chunk is written though the one before it was not */
    PLANT_READY_UNCOMPARED,   /* who joins is ready without having looked at a second peer */
    PLANT_READY_UNSTORED,     /* … before it is stored that it is */
    N_PLANTS
};
const char *sim_plant_name(enum sim_plant p);

enum sim_msg_type {
    MSG_HELLO,
    MSG_HEARTBEAT,
    MSG_PULL,
    MSG_MUTATIONS,
    MSG_ACK,
    MSG_TRIMMED,
    MSG_CLOSE,
    MSG_REPAIR,   /* stands in for the exchange of symbols: "send me everything" */
    MSG_REPAIRED, /* the answer: all registers, the quarantine, and the vector they amount to */
    MSG_SNAPSHOT  /* a frame of joining, as it is on the wire */
};

struct sim_msg {
    enum sim_msg_type type;
    unsigned from, to;
    bool to_server; /* along the direction in which the session was dialled */
    uint64_t session;
    uint64_t cost;
    struct sup_sketch_sum root; /* of HEARTBEAT */
    uint64_t incarnation;       /* of HELLO and HEARTBEAT: the sender's present one */
    enum sup_standing standing; /* likewise */
    bool snapshots;             /* of HELLO: the program knows of them */
    bool adopt;                 /* of REPAIR and REPAIRED: the vector is taken over, too */
    struct sup_vv_entry *vv;
    size_t n_vv;
    struct sup_mutation *m; /* of REPAIRED: without incarnation and seq */
    size_t n;
    uint8_t *bytes; /* what m points to; of SNAPSHOT: the frame's body */
    size_t n_bytes; /* of SNAPSHOT */
    unsigned frame; /* likewise: its type */
};

/* One direction's dialler and server, each with its own idea of the session. */
struct sim_conn {
    uint64_t dialed;
    bool dialed_up;
    int64_t dialed_at, dialed_heard;
    uint64_t accepted; /* 0 = none */
    int64_t accepted_heard;
    struct sup_repair_when when; /* the dialler's */
    struct sup_join_peer view;   /* likewise: of the server */
    uint64_t incarnation;        /* likewise, as it last said */
    struct sim_giving *giving;   /* the server's, from the first SNAPSHOT_ASK on */
    uint64_t roots_heard;
    bool repairing;     /* because roots differed */
    bool repair_failed; /* a part of the answer could not be committed */
    int64_t last_at[2]; /* a stream keeps its order, each way: [1] to the server */
    uint64_t broken[2]; /* session of which a part was lost: the rest never arrives */
};

enum sim_job_kind {
    JOB_DECIDE,
    JOB_MUTATIONS,
    JOB_RECORDS,
    JOB_ADOPT,
    JOB_RELEASE,
    JOB_TRIM,
    JOB_RETIRE,
    JOB_PART, /* of a copy */
    JOB_PHASE /* of joining, to be stored */
};

struct sim_job {
    struct sup_apply_job job; /* first: the job is found from it */
    struct sim *sim;
    struct sim_node *node;
    enum sim_job_kind kind;
    unsigned peer;
    uint64_t session;
    struct sim_msg *msg; /* owned */
    size_t first, n;     /* part of msg that a RECORDS job takes */
    size_t count;        /* quarantined or released */
    size_t decision;     /* index in the model */
    bool won;            /* the decision was logged */
    int code;            /* of the commit */
    struct sup_proposal proposal;
    struct sup_apply_trim trim;
    struct sup_vv_entry retire;
    struct sim_part *part;     /* owned */
    enum sup_join_phase phase; /* of PHASE */
    uint32_t knew; /* of TRIM: the peers whose acknowledgements were waited for, as bits */
    uint64_t touched;
    uint64_t digests[SIM_KEYS_MAX]; /* before the job, for a planted bug */
};

/* Register values as the checks want them. */
struct sim_value {
    struct sup_register reg; /* reg.encoded lives in bytes */
    uint8_t bytes[96];
};
struct sim_table {
    struct sim_value v[SIM_KEYS_MAX][SUP_N_CLASSES];
};

/* What the checks know of how a node joined. */
struct sim_joined {
    bool ready;       /* it said so; until its disk is lost */
    bool may_answer;  /* by what was seen of it */
    bool compared;    /* with another peer than the one it is a copy of, since it is whole */
    unsigned from;    /* that one; SIM_NODES_MAX: nobody */
    int64_t phase_ms; /* since when it is in the phase, in this life */
};

struct sim_node {
    unsigned id;
    char name[16];
    /* Members: what is, and what each node has been told. */
    bool added, leaving, gone;
    bool knows[SIM_NODES_MAX];
    unsigned peers[SIM_NODES_MAX]; /* of this life: the replica's numbers for them */
    size_t n_peers;
    bool running;
    bool dying; /* a batch is committed, and the process dies before it can tell */
    uint64_t life;
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_sketch_keeper *keeper;
    struct sup_replica *replica;
    bool founder;                /* a member from the beginning */
    bool old;                    /* its program is of before there was joining */
    struct sup_joining *joining; /* NULL: old */
    struct sup_snapshot_gate gate;
    struct sim_joined joined;
    int64_t clock_offset_ms;
    int64_t commit_ms; /* how long a commit takes */
    bool fail_next_commit;
    bool commit_due;
    struct sim_job **jobs;
    size_t n_jobs, room;
    struct sim_table last; /* at the last commit */
    struct sup_vv claimed; /* the most it ever told anybody; falls with the disk only */
    struct sup_vv ever;    /* the most that was ever durable here */
    struct sup_vv durable; /* what is now, running or not */
    struct sup_vv copied;  /* what is in the backup */
    unsigned copied_from;  /* joined.from, likewise */
    struct sup_vv *saved;  /* per node: what it was known to have, as last saved */
    uint64_t *saved_incarnation;
    struct sup_store *backup;
    uint64_t issued_incarnation; /* of the last decision that took the clock's time */
    sup_hlc_time issued;
    unsigned ticks;
};

struct sim_decision {
    unsigned node, key;
    enum sup_class cls;
    bool made, acked;
    bool excused;              /* lost with its disk before anybody else had it */
    uint64_t incarnation, seq; /* in the log; 0: it lost, and was not logged */
    struct sim_value value;
};

struct sim_event {
    int64_t at;
    uint64_t order;
    int type;
    unsigned node, peer;
    uint64_t life;
    struct sim_msg *msg;
};

enum sim_event_type {
    EV_TICK,
    EV_COMMIT,
    EV_DIAL,
    EV_DELIVER,
    EV_DECIDE,
    EV_FAULT,
    EV_START,
    EV_CRASH,
    EV_MEMBERS, /* one is added, or leaves */
    EV_CONFIG,  /* node is told whether peer is a member */
    EV_DRAIN    /* is there anything that only the leaving node has? */
};

struct sim_shape { /* what the seed decides first */
    unsigned n_nodes, n_keys;
    bool quiet;         /* no faults at all */
    unsigned n_later;   /* nodes that are not members at first */
    int64_t members_ms; /* between changes of the membership; 0 = none */
    bool lossy;         /* single messages are lost, doubled, swapped: worse than any stream */
    unsigned loss_permille;
    int64_t run_ms, decide_ms, fault_ms, trim_ms;
    uint64_t log_max;
    int64_t retire_ms;         /* 0 = the product's own, which is longer than any run */
    uint64_t credit, message;  /* bytes; 0 = the product's own, which no run here uses up */
    bool born_ready;           /* the first members' disks are of a mesh that has settled */
    unsigned old_permille;     /* members with a program of before there was joining */
    int64_t alone_ms, hold_ms; /* patience of who finds nobody; how long a donor holds a view */
    uint64_t window;           /* bytes of a copy under way; 0 = the product's own */
    size_t chunk;              /* records in a chunk; 0 = the product's own */
    bool wipes;                /* disks are lost more often, most of all while they are filled */
};

/* What happened, for the summary. Numbers only. */
struct sim_counts {
    uint64_t events, commits, crashes, wipes, restores;
    uint64_t repairs, root_repairs; /* by the replica's word; because roots differed */
    uint64_t asked, resumed;        /* snapshots; those of them that went on with a copy */
    uint64_t copied, ready, alone;  /* joins that came so far */
    uint64_t added, left;           /* members */
    uint64_t retired;               /* incarnations, at a node */
    uint64_t quarantined, acked, excused;
};

struct sim {
    uint64_t seed;
    enum sim_plant plant;
    bool trace;
    bool faults_over;
    unsigned late_crashes;
    bool failed;
    char failure[512];
    struct sup_rng rng;
    struct sim_shape shape;
    int64_t now;
    int64_t wall_base;
    struct sim_node *nodes;
    struct sim_conn (*conns)[SIM_NODES_MAX]; /* [dialler][server] */
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX];  /* [from][to] */
    unsigned latency[SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_event *heap;
    size_t n_heap, heap_room;
    uint64_t order, sessions;
    struct sim_decision *decisions;
    size_t n_decisions;
    struct sup_hash_key hash;
    struct sup_log_reader *reader;
    struct sup_sketch_keys sketch_keys;
    struct sup_sketch scanned; /* scratch */
    struct sup_mem *mem;
    struct sup_buf buf;
    struct sup_mesh_mem *frame_mem;
    struct sim_counts count;
};

/* world.c */
/* shape: NULL, and the seed chooses it. */
struct sim *sim_new(uint64_t seed, enum sim_plant plant, bool trace, const struct sim_shape *shape);
void sim_free(struct sim *s);
bool sim_run(struct sim *s); /* true: all checks held */
void sim_run_until(struct sim *s, int64_t until);
bool sim_finish(struct sim *s); /* ends the faults and waits until all is the same everywhere */
void sim_push(struct sim *s, int64_t delay, struct sim_event e);
void sim_tracef(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sim_chance(struct sim *s, unsigned permille);
uint64_t sim_below(struct sim *s, uint64_t n);

/* net.c */
struct sim_msg *sim_msg_new(enum sim_msg_type type, unsigned from, unsigned to, bool to_server,
                            uint64_t session, const struct sup_vv *vv);
void sim_msg_free(struct sim_msg *m);
/* Copy mutations, a frame's body, into the message. */
void sim_msg_put(struct sim_msg *m, const struct sup_mutation *from, size_t n);
void sim_msg_put_bytes(struct sim_msg *m, struct sup_slice bytes);
void sim_send(struct sim *s, struct sim_msg *m); /* takes m over */
void sim_deliver(struct sim *s, struct sim_msg *m);
void sim_dial(struct sim *s, struct sim_node *n, unsigned peer);
void sim_conn_tick(struct sim *s, struct sim_node *n);
void sim_dialed_lost(struct sim *s, struct sim_node *n, unsigned peer);
void sim_accepted_lost(struct sim *s, struct sim_node *n, unsigned peer);

/* node.c */
void sim_node_start(struct sim *s, struct sim_node *n);
void sim_node_crash(struct sim *s, struct sim_node *n);
void sim_node_wipe(struct sim *s, struct sim_node *n);   /* crashed */
void sim_node_backup(struct sim *s, struct sim_node *n); /* any */
void sim_node_restore(struct sim *s, struct sim_node *n);
void sim_node_tick(struct sim *s, struct sim_node *n);
/* While it runs: one peer more, or less. */
void sim_node_add_peer(struct sim *s, struct sim_node *n, unsigned peer);
void sim_node_retire_peer(struct sim *s, struct sim_node *n, unsigned peer);
void sim_node_use(struct sim *s, struct sim_node *n); /* its clock is the one to be read */
/* The replica's number for node `other`, SIZE_MAX when it is none of its peers; and back. */
size_t sim_peer_index(const struct sim_node *n, unsigned other);
unsigned sim_peer_node(const struct sim_node *n, size_t index);
void sim_step(struct sim *s, struct sim_node *n, const struct sup_replica_event *e,
              struct sim_msg *msg);                /* msg: the event's mutations, taken over */
void sim_serve(struct sim *s, struct sim_node *n); /* sends to all what there is */
void sim_claim(struct sim *s, struct sim_node *n, const struct sup_vv *vv);
uint64_t sim_member(const struct sim *s, const struct sim_node *n, unsigned other); /* for apply */

/* members.c */
bool sim_is_member(const struct sim_node *n);
unsigned sim_first_member(const struct sim *s);
void sim_members_begin(struct sim *s);
void sim_members_change(struct sim *s); /* somebody joins or leaves */
/* The node's configuration says of peer what is so now. */
void sim_members_tell(struct sim *s, struct sim_node *n, unsigned peer);
void sim_members_tell_all(struct sim *s); /* at once */
void sim_members_drain(struct sim *s, struct sim_node *n);

/* jobs.c */
void sim_submit(struct sim *s, struct sim_job *j);
struct sim_job *sim_job_new(struct sim *s, struct sim_node *n, enum sim_job_kind kind);
void sim_job_free(struct sim_job *j);
void sim_touch(struct sim_job *j, struct sup_slice key); /* to be checked when it is committed */
void sim_commit(struct sim *s, struct sim_node *n);
void sim_jobs_drop(struct sim_node *n);

/* join.c */
void sim_join_start(struct sim *s, struct sim_node *n);
void sim_join_stop(struct sim_node *n);
void sim_join_member(struct sim *s, struct sim_node *n, unsigned peer, bool member);
void sim_join_tick(struct sim *s, struct sim_node *n);
/* What the peer says of itself; vv: what it has. */
void sim_join_heard(struct sim *s, struct sim_node *n, unsigned peer, const struct sup_vv *vv);
void sim_join_lost(struct sim *s, struct sim_node *n, unsigned peer);
void sim_join_repaired(struct sim *s, struct sim_node *n, const struct sim_msg *m, int code);
enum sup_standing sim_join_standing(const struct sim_node *n);
bool sim_join_pulls(const struct sim_node *n);
bool sim_join_pulls_from(const struct sim_node *n, const struct sup_join_peer *view);
bool sim_join_answers(const struct sim_node *n); /* does it know what it says when it says allow? */
void sim_join_chunk(struct sim *s, struct sim_node *n, const struct sim_msg *m);
int sim_join_part_run(struct sim_job *j, struct sup_txn *t, struct sup_err *err);
void sim_join_noted(struct sim_job *j); /* a part is durable, even if nobody was told */
void sim_join_part_done(struct sim *s, struct sim_job *j, int code);
int sim_join_phase_run(struct sim_job *j, struct sup_txn *t, struct sup_err *err);
void sim_join_phase_done(struct sim *s, struct sim_job *j, int code);
void sim_part_free(struct sim_part *p);

/* give.c */
void sim_give(struct sim *s, struct sim_node *n, const struct sim_msg *m);
void sim_give_tick(struct sim *s, struct sim_conn *c);
void sim_give_end(struct sim_conn *c);
/* A frame of joining on a session. */
void sim_send_frame(struct sim *s, struct sim_msg *to, const struct sup_mesh_msg *msg);
void sim_read_frame(struct sim *s, const struct sim_msg *m, struct sup_mesh_mem *mem,
                    struct sup_mesh_msg *out);

/* join_check.c */
/* Another phase: may it have come to that? */
void sim_check_joining(struct sim *s, struct sim_node *n, enum sup_join_phase before);
void sim_check_answers(struct sim *s, struct sim_node *n);
void sim_check_join_start(struct sim *s, struct sim_node *n);
void sim_check_join_lost_disk(struct sim_node *n);

/* repair.c */
struct sim_msg *sim_repair_answer(struct sim *s, struct sim_node *n, const struct sim_msg *request);
void sim_repair_ask(struct sim *s, struct sim_node *n, unsigned peer, bool adopt);
/* A heartbeat told the peer's root and vector. */
void sim_repair_root(struct sim *s, struct sim_node *n, const struct sim_msg *m,
                     const struct sup_vv *vv);
void sim_repair_take(struct sim *s, struct sim_node *n, struct sim_msg *m); /* takes m over */

/* model.c */
void sim_decide(struct sim *s); /* somebody, something */
/* event: with a time of its own, in the past. */
void sim_decide_this(struct sim *s, struct sim_node *n, unsigned key, enum sup_class cls,
                     enum sup_state state, bool event);
const char *sim_key(unsigned key);
void sim_value_set(struct sim_value *v, const struct sup_register *r);
void sim_table_read(struct sim *s, struct sup_store *store, struct sim_table *out);
/* Where the decision is in the log. The number may have been used before, for what was lost with
 * its disk, if nobody else has that. */
void sim_decision_place(struct sim *s, size_t decision, uint64_t incarnation, uint64_t seq);
/* What the node's vector covers, it has. */
void sim_check_vv(struct sim *s, struct sim_node *n);
void sim_check_commit(struct sim *s, struct sim_node *n, uint64_t touched);
/* The sketch that followed the commits is the one of what the store holds. */
void sim_check_sketch(struct sim *s, struct sim_node *n);
void sim_check_restart(struct sim *s, struct sim_node *n);
/* The node's disk is lost, or becomes what `restored` holds: what nobody else has is excused. */
void sim_excuse(struct sim *s, struct sim_node *lost, struct sup_store *restored);
bool sim_has_only_copies(struct sim *s, struct sim_node *n);
bool sim_converged(struct sim *s);
void sim_trace_nodes(struct sim *s); /* how they differ */
void sim_check_end(struct sim *s);

/* faults.c */
void sim_shape_choose(struct sim *s);
void sim_fault(struct sim *s);
void sim_crash_and_restart(struct sim *s, struct sim_node *n);

/* scenario.c */
int sim_scenario(const char *name); /* prints the trace of a fixed, quiet case */

#endif
