#ifndef SUP_STORE_TREE_H
#define SUP_STORE_TREE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* An ordered map of byte strings whose versions share structure: copying one costs nothing, and a
 * change to one copy is never seen through another. That makes snapshots, transactions, marks and
 * clones of the store in memory one and the same thing: a copy of a root.
 *
 * It is a treap (a search tree that is a heap by a random priority, here a hash of the key) whose
 * nodes are counted references; a node that only one tree holds is changed in place, a shared one
 * is copied first (path copying).
 *
 * Threads: different trees may be used by different threads at once even when they share nodes; one
 * tree needs its user's lock. */

struct sup_tree_node;

/* Zero is the empty tree. */
struct sup_tree {
    struct sup_tree_node *root;
};

struct sup_tree_entry {
    struct sup_slice key;
    struct sup_slice value;
};

struct sup_tree sup_tree_copy(const struct sup_tree *t);
void sup_tree_fini(struct sup_tree *t);

/* SUP_OK or SUP_ENOMEM, and then nothing changed. */
int sup_tree_put(struct sup_tree *t, struct sup_slice key, struct sup_slice value);
/* A key that is not there is fine. */
int sup_tree_delete(struct sup_tree *t, struct sup_slice key);

/* The first entry with a key >= key, or > key if after. False: there is none. The slices live as
 * long as the tree is not changed or finished. */
bool sup_tree_seek(const struct sup_tree *t, struct sup_slice key, bool after,
                   struct sup_tree_entry *out);
bool sup_tree_get(const struct sup_tree *t, struct sup_slice key, struct sup_slice *value);

size_t sup_tree_count(const struct sup_tree *t);
size_t sup_tree_bytes(const struct sup_tree *t); /* of keys and values */

#endif
