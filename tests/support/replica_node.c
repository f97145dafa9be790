#include "replica_node.h"

#include "store/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void replica_node_open(struct replica_node *n, const char *name, size_t symbols)
{
    struct sup_store_identity id = {.node = name, .cluster = "c"};
    struct sup_apply_options o;
    struct sup_err err = {0};

    memset(n, 0, sizeof(*n));
    n->name = name;
    sup_hash_key_derive("c", (struct sup_slice){NULL, 0}, &n->hash);
    assert_int_equal(sup_store_open_memory(&id, &n->store, NULL), SUP_OK);
    if (sup_sketch_keeper_open(n->store, &n->hash, symbols, &n->keeper, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    o = (struct sup_apply_options){.store = n->store,
                                   .hash = n->hash,
                                   .keeper = n->keeper,
                                   .max_clock_drift_ms = REPLICA_NODE_DRIFT_MS,
                                   .dedup_ttl_ms = 1000000};
    if (sup_apply_start(&o, &n->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

void replica_node_close(struct replica_node *n)
{
    sup_replicator_stop(n->replicator);
    sup_replicator_free(n->replicator);
    sup_apply_stop(n->apply);
    sup_apply_free(n->apply);
    sup_sketch_keeper_free(n->keeper);
    sup_store_close(n->store);
}

static int free_port(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    close(fd);
    return ntohs(sa.sin_port);
}

void replica_node_address(struct replica_node *n)
{
    (void)snprintf(n->url, sizeof(n->url), "tcp://127.0.0.1:%d", free_port());
}

void replica_node_replicate(struct replica_node *n, const struct replica_node *const *peers,
                            size_t n_peers)
{
    struct sup_replicator_options o = {.config = &n->options, .apply = n->apply, .store = n->store};
    struct sup_err err = {0};

    assert_in_range(n_peers, 1, REPLICA_NODE_PEERS);
    for (size_t i = 0; i < n_peers; i++)
        n->peers[i] = (struct sup_peer_options){.name = peers[i]->name, .url = peers[i]->url};
    n->options.node = n->name;
    n->options.mesh.enabled = true;
    n->options.mesh.insecure = true;
    n->options.mesh.cluster = "c";
    n->options.mesh.listen = n->url;
    n->options.mesh.tls_ca = n->options.mesh.tls_cert = n->options.mesh.tls_key = "";
    n->options.mesh.tls_crl = "";
    n->options.mesh.max_clock_drift_ms = REPLICA_NODE_DRIFT_MS;
    n->options.mesh.peers = n->peers;
    n->options.mesh.n_peers = n_peers;
    if (sup_replicator_start(&o, &n->replicator, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

void replica_node_connect(struct replica_node *a, struct replica_node *b)
{
    const struct replica_node *const of_a[] = {b};
    const struct replica_node *const of_b[] = {a};

    replica_node_address(a);
    replica_node_address(b);
    replica_node_replicate(a, of_a, 1);
    replica_node_replicate(b, of_b, 1);
}

bool replica_node_equal_roots(const struct replica_node *a, const struct replica_node *b)
{
    struct sup_sketch_sum x = sup_sketch_keeper_root(a->keeper);
    struct sup_sketch_sum y = sup_sketch_keeper_root(b->keeper);

    return sup_sketch_sum_eq(&x, &y);
}
