#ifndef SIM_STRMAP_H
#define SIM_STRMAP_H

#include <stddef.h>
#include <stdint.h>

/* String to pointer. Zeroed is empty. Keys are copied; values stay the caller's. Not locked.
 * (Written out rather than taken from uthash: one more build dependency for so little, and uthash
 * wants its links inside each struct while an entry here sits in two maps at once.) */
struct sim_strmap_node {
    struct sim_strmap_node *next;
    uint64_t hash;
    void *value;
    char key[];
};
struct sim_strmap {
    struct sim_strmap_node **buckets;
    size_t n_buckets;
    size_t n;
};

void *sim_strmap_get(const struct sim_strmap *m, const char *key);
/* Returns the value that was there before, or NULL. */
void *sim_strmap_set(struct sim_strmap *m, const char *key, void *value);
/* Returns the value removed, or NULL. */
void *sim_strmap_remove(struct sim_strmap *m, const char *key);
/* Visits all in no order; the map must not change meanwhile. */
void sim_strmap_each(const struct sim_strmap *m, void (*visit)(const char *key, void *v, void *arg),
                     void *arg);
/* drop (may be NULL) is called on each value. The map is empty afterwards. */
void sim_strmap_fini(struct sim_strmap *m, void (*drop)(void *value));

#endif
