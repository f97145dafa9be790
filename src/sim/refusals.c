#include "refusals.h"

void sim_refusals_init(struct sim_refusals *f)
{
    *f = (struct sim_refusals){0};
    pthread_mutex_init(&f->lock, NULL);
}

void sim_refusals_fini(struct sim_refusals *f)
{
    sim_strmap_fini(&f->rows, NULL);
    sim_strmap_fini(&f->puts, NULL);
    pthread_mutex_destroy(&f->lock);
}

static bool is_list(const json_t *v)
{
    if (v && !json_is_array(v))
        return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (!json_is_string(json_array_get(v, i)))
            return false;
    }
    return true;
}

static void replace(struct sim_strmap *m, const json_t *list)
{
    sim_strmap_fini(m, NULL);
    for (size_t i = 0; i < json_array_size(list); i++)
        sim_strmap_set(m, json_string_value(json_array_get(list, i)), m);
}

bool sim_refusals_set(struct sim_refusals *f, const json_t *wanted)
{
    const json_t *rows = json_object_get(wanted, "rows");
    const json_t *puts = json_object_get(wanted, "puts");
    if (!json_is_object(wanted) || !is_list(rows) || !is_list(puts))
        return false;
    pthread_mutex_lock(&f->lock);
    replace(&f->rows, rows);
    replace(&f->puts, puts);
    pthread_mutex_unlock(&f->lock);
    return true;
}

static bool holds(struct sim_refusals *f, const struct sim_strmap *m, const char *spelling)
{
    pthread_mutex_lock(&f->lock);
    bool found = sim_strmap_get(m, spelling) != NULL;
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool sim_refusals_row(struct sim_refusals *f, const char *spelling)
{
    return holds(f, &f->rows, spelling);
}

bool sim_refusals_put(struct sim_refusals *f, const char *spelling)
{
    return holds(f, &f->puts, spelling);
}
