#ifndef SUP_BENCH_PAIR_H
#define SUP_BENCH_PAIR_H

#include "common.h"

#include <sys/stat.h>

/* Two nodes of a mesh on this machine, a and b, each the other's peer. */
struct bench_pair {
    char dirs[2][512];
    int ports[2];
    char urls[2][64];
    struct sup_peer_options peer[2]; /* of options[i] */
    struct sup_options options[2];
};

#define BENCH_PAIR_USAGE "DIR CA CERT_A KEY_A CERT_B KEY_B"
#define BENCH_PAIR_ARGC  7 /* with the program's name */

/* Points into itself and argv: neither is moved. Makes the data directories. */
static inline void bench_pair_init(struct bench_pair *p, char **argv)
{
    static const char *const names[2] = {"a", "b"};

    for (int i = 0; i < 2; i++) {
        snprintf(p->dirs[i], sizeof(p->dirs[i]), "%s/%s", argv[1], names[i]);
        mkdir(p->dirs[i], 0700);
        p->ports[i] = 20000 + (int)(getpid() % 10000) + i * 10000;
        snprintf(p->urls[i], sizeof(p->urls[i]), "tls+tcp://127.0.0.1:%d", p->ports[i]);
        p->peer[1 - i] = (struct sup_peer_options){.name = names[i], .url = p->urls[i]};
    }
    for (int i = 0; i < 2; i++) {
        struct sup_options *o = &p->options[i];
        *o = bench_options(names[i], p->dirs[i]);
        o->mesh.enabled = true;
        o->mesh.cluster = "bench";
        o->mesh.listen = p->urls[i];
        o->mesh.tls_ca = argv[2];
        o->mesh.tls_cert = argv[3 + 2 * i];
        o->mesh.tls_key = argv[4 + 2 * i];
        o->mesh.peers = &p->peer[i];
        o->mesh.n_peers = 1;
    }
}

#endif
