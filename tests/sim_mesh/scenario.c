/* Fixed cases whose traces are kept in golden/: a change in what nodes say to each other shows as a
 * difference in a text. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

enum op {
    OP_END,
    OP_START,
    OP_SUPPRESS,
    OP_CLEAR,
    OP_CUT,
    OP_HEAL,
    OP_CRASH,
    OP_WIPE,
    OP_COPY,
    OP_RESTORE,
    OP_CLOCK
};

struct line {
    int64_t at;
    enum op op;
    unsigned node;
    int64_t arg; /* the other node, the key, milliseconds */
};

enum beginning {
    SETTLED, /* the nodes have been a mesh for long */
    FRESH,   /* none has ever had anything */
    OLD      /* programs of before there was joining */
};

struct scenario {
    const char *name;
    const char *what;
    unsigned n_nodes;
    int64_t trim_ms;
    enum beginning beginning;
    struct line lines[24];
};

#define NEVER_MS 1000000000

static const struct scenario scenarios[] = {
    {"two",
     "what one decides the other has, and each trims what the other acknowledged",
     2,
     3000,
     SETTLED,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {1500, OP_SUPPRESS, 0, 0},
      {2500, OP_CLEAR, 1, 0},
      {5000, OP_END, 0, 0}}},
    {"partition",
     "both sides of a partition decide; the later decision is the one that stays",
     2,
     NEVER_MS,
     SETTLED,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {1500, OP_CUT, 0, 1},
      {2000, OP_SUPPRESS, 0, 0},
      {3000, OP_CLEAR, 1, 0},
      {9000, OP_HEAL, 0, 0},
      {16000, OP_END, 0, 0}}},
    {"restore",
     "an old copy is started, decides at once, and gets its lost decision back",
     2,
     NEVER_MS,
     SETTLED,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {1500, OP_SUPPRESS, 0, 0},
      {2500, OP_COPY, 0, 0},
      {3000, OP_SUPPRESS, 0, 1},
      {5000, OP_CRASH, 0, 0},
      {5001, OP_RESTORE, 0, 0},
      {5002, OP_START, 0, 0},
      {5003, OP_SUPPRESS, 0, 2},
      {14000, OP_END, 0, 0}}},
    {"wipe",
     "a wiped node, of which the other has trimmed its log, is repaired",
     2,
     2000,
     OLD,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {1500, OP_SUPPRESS, 0, 0},
      {7000, OP_CRASH, 1, 0},
      {7001, OP_WIPE, 1, 0},
      {7002, OP_START, 1, 0},
      {80000, OP_END, 0, 0}}},
    {"future",
     "a decision from three days ahead waits in quarantine",
     2,
     NEVER_MS,
     SETTLED,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {1000, OP_CLOCK, 0, 3LL * 86400000},
      {1500, OP_SUPPRESS, 0, 0},
      {4000, OP_CLOCK, 0, 0},
      {5000, OP_END, 0, 0}}},
    {"new",
     "nodes that never had anything wait for each other, take decisions meanwhile, and are ready",
     2,
     NEVER_MS,
     FRESH,
     {{0, OP_START, 0, 0}, {500, OP_SUPPRESS, 0, 0}, {2000, OP_START, 1, 0}, {6000, OP_END, 0, 0}}},
    {"join",
     "a wiped node copies the set: the donor goes on the way, then itself; then it reads the log, "
     "and compares itself with a second peer",
     3,
     2000,
     SETTLED,
     {{0, OP_START, 0, 0},
      {0, OP_START, 1, 0},
      {0, OP_START, 2, 0},
      {1500, OP_SUPPRESS, 0, 0},
      {1600, OP_SUPPRESS, 1, 1},
      {1700, OP_SUPPRESS, 2, 2},
      {1800, OP_CLEAR, 0, 3},
      {1900, OP_SUPPRESS, 1, 4},
      {5000, OP_CRASH, 2, 0},
      {5001, OP_WIPE, 2, 0},
      {7000, OP_START, 2, 0},
      {7300, OP_CRASH, 0, 0},
      {8000, OP_SUPPRESS, 1, 0},
      {13300, OP_CRASH, 2, 0},
      {13400, OP_START, 2, 0},
      {16000, OP_START, 0, 0},
      {30000, OP_END, 0, 0}}},
};

static void carry_out(struct sim *s, const struct line *l)
{
    struct sim_node *n = &s->nodes[l->node];

    sim_node_use(s, n);
    switch (l->op) {
    case OP_START:
        sim_node_start(s, n);
        break;
    case OP_SUPPRESS:
    case OP_CLEAR:
        sim_decide_this(s, n, (unsigned)l->arg, SUP_CLASS_MANUAL,
                        l->op == OP_CLEAR ? SUP_CLEARED : SUP_SUPPRESSED, false);
        break;
    case OP_CUT:
        s->cut[l->node][l->arg] = s->cut[l->arg][l->node] = true;
        sim_tracef(s, "the link between n%u and n%u is cut", l->node, (unsigned)l->arg);
        break;
    case OP_HEAL:
        memset(s->cut, 0, sizeof(s->cut));
        sim_tracef(s, "all links are whole");
        break;
    case OP_CRASH:
        sim_node_crash(s, n);
        break;
    case OP_WIPE:
        sim_node_wipe(s, n);
        break;
    case OP_COPY:
        sim_node_backup(s, n);
        break;
    case OP_RESTORE:
        sim_node_restore(s, n);
        break;
    case OP_CLOCK:
        n->clock_offset_ms = l->arg;
        sim_tracef(s, "%s's clock is %lld ms off", n->name, (long long)l->arg);
        break;
    case OP_END:
        break;
    }
}

static int run(const struct scenario *c)
{
    struct sim_shape shape = {.n_nodes = c->n_nodes,
                              .n_keys = SIM_KEYS_MAX,
                              .quiet = true,
                              .trim_ms = c->trim_ms,
                              .born_ready = c->beginning == SETTLED,
                              .old_permille = c->beginning == OLD ? 1000 : 0,
                              .alone_ms = 30000,
                              .window = 1, /* a chunk at a time */
                              .chunk = 1};
    struct sim *s = sim_new(1, PLANT_NONE, true, &shape);
    bool ok;

    printf("%s\n", c->what);
    for (const struct line *l = c->lines;; l++) {
        sim_run_until(s, l->at);
        if (l->op == OP_END)
            break;
        carry_out(s, l);
    }
    ok = sim_finish(s);
    if (ok)
        printf("the same everywhere\n");
    sim_free(s);
    return !ok;
}

int sim_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return run(&scenarios[i]);
    }
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        fprintf(stderr, "%s\n", scenarios[i].name);
    return 2;
}
