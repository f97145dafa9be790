#include "store/tree.h"

#include "base/err.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Key and value, shared by all copies of a node. */
struct pair {
    atomic_size_t refs;
    size_t key_n;
    size_t value_n;
    uint8_t bytes[];
};

struct sup_tree_node {
    atomic_size_t refs;
    uint64_t priority;
    struct pair *pair;
    struct sup_tree_node *left;
    struct sup_tree_node *right;
    size_t count; /* of the whole subtree */
    size_t bytes;
};

/* Nodes set aside before a change starts, so that it cannot fail in its middle. Linked by ->left.
 */
struct reserve {
    struct sup_tree_node *free;
};

/* --- pairs --- */

static struct pair *pair_new(struct sup_slice key, struct sup_slice value)
{
    if (value.n > SIZE_MAX - sizeof(struct pair) - key.n)
        return NULL;
    struct pair *p = malloc(sizeof(*p) + key.n + value.n);
    if (p == NULL)
        return NULL;
    atomic_init(&p->refs, 1);
    p->key_n = key.n;
    p->value_n = value.n;
    if (key.n > 0)
        memcpy(p->bytes, key.p, key.n);
    if (value.n > 0)
        memcpy(p->bytes + key.n, value.p, value.n);
    return p;
}

static void pair_unref(struct pair *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

static struct sup_slice pair_key(const struct pair *p)
{
    return sup_slice_of(p->bytes, p->key_n);
}

static struct sup_slice pair_value(const struct pair *p)
{
    return sup_slice_of(p->bytes + p->key_n, p->value_n);
}

/* --- nodes --- */

static struct sup_tree_node *node_ref(struct sup_tree_node *n)
{
    if (n != NULL)
        atomic_fetch_add(&n->refs, 1);
    return n;
}

/* Recursion is as deep as the tree, which is logarithmic (about 50 levels for a million keys). */
static void node_unref(struct sup_tree_node *n)
{
    if (n == NULL || atomic_fetch_sub(&n->refs, 1) != 1)
        return;
    node_unref(n->left);
    node_unref(n->right);
    pair_unref(n->pair);
    free(n);
}

static void node_update(struct sup_tree_node *n)
{
    n->count =
        1 + (n->left != NULL ? n->left->count : 0) + (n->right != NULL ? n->right->count : 0);
    n->bytes = n->pair->key_n + n->pair->value_n + (n->left != NULL ? n->left->bytes : 0) +
               (n->right != NULL ? n->right->bytes : 0);
}

/* FNV-1a with a finish (murmur's): the heap order has to be unrelated to the key order. */
static uint64_t priority_of(struct sup_slice key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < key.n; i++)
        h = (h ^ key.p[i]) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

static void reserve_fini(struct reserve *r)
{
    while (r->free != NULL) {
        struct sup_tree_node *n = r->free;
        r->free = n->left;
        free(n);
    }
}

static int reserve_init(struct reserve *r, size_t nodes)
{
    r->free = NULL;
    for (size_t i = 0; i < nodes; i++) {
        struct sup_tree_node *n = calloc(1, sizeof(*n));
        if (n == NULL) {
            reserve_fini(r);
            return SUP_ENOMEM;
        }
        n->left = r->free;
        r->free = n;
    }
    return SUP_OK;
}

/* Consumes pair. */
static struct sup_tree_node *reserve_take(struct reserve *r, struct pair *pair)
{
    struct sup_tree_node *n = r->free;

    assert(n != NULL); /* as many were reserved as the longest path can take */
    r->free = n->left;
    *n = (struct sup_tree_node){.priority = priority_of(pair_key(pair)), .pair = pair};
    atomic_init(&n->refs, 1);
    node_update(n);
    return n;
}

/* Consumes a reference to n, gives one to a node with the same contents that nobody else holds. The
 * count is read safely: with a single reference there is nobody who could add another. */
static struct sup_tree_node *own(struct reserve *r, struct sup_tree_node *n)
{
    if (atomic_load(&n->refs) == 1)
        return n;
    atomic_fetch_add(&n->pair->refs, 1);
    struct sup_tree_node *copy = reserve_take(r, n->pair);
    copy->left = node_ref(n->left);
    copy->right = node_ref(n->right);
    node_update(copy);
    node_unref(n);
    return copy;
}

/* --- changes; each consumes references to the trees it is given --- */

static struct sup_tree_node *rotate_right(struct sup_tree_node *n)
{
    struct sup_tree_node *up = n->left;

    n->left = up->right;
    up->right = n;
    node_update(n);
    node_update(up);
    return up;
}

static struct sup_tree_node *rotate_left(struct sup_tree_node *n)
{
    struct sup_tree_node *up = n->right;

    n->right = up->left;
    up->left = n;
    node_update(n);
    node_update(up);
    return up;
}

static struct sup_tree_node *insert(struct reserve *r, struct sup_tree_node *n, struct pair *pair)
{
    if (n == NULL)
        return reserve_take(r, pair);
    n = own(r, n);
    int order = sup_slice_cmp(pair_key(pair), pair_key(n->pair));
    if (order < 0) {
        n->left = insert(r, n->left, pair);
        if (n->left->priority > n->priority)
            return rotate_right(n);
    } else if (order > 0) {
        n->right = insert(r, n->right, pair);
        if (n->right->priority > n->priority)
            return rotate_left(n);
    } else {
        pair_unref(n->pair);
        n->pair = pair;
    }
    node_update(n);
    return n;
}

/* All keys of a are before those of b. */
static struct sup_tree_node *join(struct reserve *r, struct sup_tree_node *a,
                                  struct sup_tree_node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (a->priority >= b->priority) {
        a = own(r, a);
        a->right = join(r, a->right, b);
        node_update(a);
        return a;
    }
    b = own(r, b);
    b->left = join(r, a, b->left);
    node_update(b);
    return b;
}

/* The key is there. */
static struct sup_tree_node *remove_key(struct reserve *r, struct sup_tree_node *n,
                                        struct sup_slice key)
{
    int order = sup_slice_cmp(key, pair_key(n->pair));

    n = own(r, n);
    if (order == 0) {
        struct sup_tree_node *rest = join(r, n->left, n->right);
        n->left = n->right = NULL;
        node_unref(n);
        return rest;
    }
    if (order < 0)
        n->left = remove_key(r, n->left, key);
    else
        n->right = remove_key(r, n->right, key);
    node_update(n);
    return n;
}

/* --- what is needed beforehand --- */

/* Nodes that a change at key can have to copy: those on the way to it, and, when it is removed,
 * those where its two subtrees are joined. */
static size_t nodes_touched(const struct sup_tree_node *n, struct sup_slice key, bool *found)
{
    size_t touched = 0;
    int order = 1;

    for (; n != NULL && order != 0;) {
        touched++;
        order = sup_slice_cmp(key, pair_key(n->pair));
        if (order != 0)
            n = order < 0 ? n->left : n->right;
    }
    *found = n != NULL;
    if (n == NULL)
        return touched;
    for (const struct sup_tree_node *s = n->left; s != NULL; s = s->right)
        touched++;
    for (const struct sup_tree_node *s = n->right; s != NULL; s = s->left)
        touched++;
    return touched;
}

/* --- the map --- */

struct sup_tree sup_tree_copy(const struct sup_tree *t)
{
    return (struct sup_tree){node_ref(t->root)};
}

void sup_tree_fini(struct sup_tree *t)
{
    node_unref(t->root);
    t->root = NULL;
}

int sup_tree_put(struct sup_tree *t, struct sup_slice key, struct sup_slice value)
{
    bool found = false;
    struct reserve r;
    struct pair *pair = pair_new(key, value);

    if (pair == NULL)
        return SUP_ENOMEM;
    if (reserve_init(&r, nodes_touched(t->root, key, &found) + 1) != SUP_OK) {
        pair_unref(pair);
        return SUP_ENOMEM;
    }
    t->root = insert(&r, t->root, pair);
    reserve_fini(&r);
    return SUP_OK;
}

int sup_tree_delete(struct sup_tree *t, struct sup_slice key)
{
    bool found = false;
    struct reserve r;
    size_t touched = nodes_touched(t->root, key, &found);

    if (!found)
        return SUP_OK;
    if (reserve_init(&r, touched) != SUP_OK)
        return SUP_ENOMEM;
    t->root = remove_key(&r, t->root, key);
    reserve_fini(&r);
    return SUP_OK;
}

bool sup_tree_seek(const struct sup_tree *t, struct sup_slice key, bool after,
                   struct sup_tree_entry *out)
{
    const struct sup_tree_node *best = NULL;

    for (const struct sup_tree_node *n = t->root; n != NULL;) {
        int order = sup_slice_cmp(pair_key(n->pair), key);
        if (order > 0 || (order == 0 && !after)) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    if (best == NULL)
        return false;
    *out = (struct sup_tree_entry){pair_key(best->pair), pair_value(best->pair)};
    return true;
}

bool sup_tree_get(const struct sup_tree *t, struct sup_slice key, struct sup_slice *value)
{
    struct sup_tree_entry e;

    if (!sup_tree_seek(t, key, false, &e) || !sup_slice_eq(e.key, key))
        return false;
    *value = e.value;
    return true;
}

size_t sup_tree_count(const struct sup_tree *t)
{
    return t->root != NULL ? t->root->count : 0;
}

size_t sup_tree_bytes(const struct sup_tree *t)
{
    return t->root != NULL ? t->root->bytes : 0;
}
