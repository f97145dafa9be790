#include "creds.h"

#include "buf.h"
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>

static void put(struct sim_creds *c, const struct sim_credential *credential)
{
    struct sim_credential *copy = sim_alloc(sizeof *copy);
    *copy = *credential;
    pthread_mutex_lock(&c->lock);
    free(sim_strmap_set(&c->by_key, credential->access_key, copy));
    pthread_mutex_unlock(&c->lock);
}

void sim_creds_init(struct sim_creds *c)
{
    pthread_mutex_init(&c->lock, NULL);
    sim_creds_add(c, SIM_DEFAULT_KEY, SIM_DEFAULT_SECRET);
    sim_creds_add(c, "test", "test");
}

void sim_creds_fini(struct sim_creds *c)
{
    sim_strmap_fini(&c->by_key, free);
    pthread_mutex_destroy(&c->lock);
}

void sim_creds_add(struct sim_creds *c, const char *access_key, const char *secret)
{
    struct sim_credential credential = {0};
    snprintf(credential.access_key, sizeof credential.access_key, "%s", access_key);
    snprintf(credential.secret, sizeof credential.secret, "%s", secret);
    snprintf(credential.arn, sizeof credential.arn, "arn:aws:iam::000000000000:user/%.32s",
             credential.access_key);
    put(c, &credential);
}

void sim_creds_issue(struct sim_creds *c, const char *arn, int64_t expiry_ms,
                     struct sim_credential *out)
{
    *out = (struct sim_credential){.expiry_ms = expiry_ms};
    snprintf(out->access_key, sizeof out->access_key, "ASIA%016llX",
             (unsigned long long)sim_random());
    snprintf(out->secret, sizeof out->secret, "%016llx%016llx+/%06llx",
             (unsigned long long)sim_random(), (unsigned long long)sim_random(),
             (unsigned long long)(sim_random() & 0xffffff));
    snprintf(out->token, sizeof out->token,
             "FwoGZXIvYXdzE/+%016llx%016llx==", (unsigned long long)sim_random(),
             (unsigned long long)sim_random());
    snprintf(out->arn, sizeof out->arn, "%s", arn);
    put(c, out);
}

bool sim_creds_find(struct sim_creds *c, const char *access_key, struct sim_credential *out)
{
    pthread_mutex_lock(&c->lock);
    const struct sim_credential *found = sim_strmap_get(&c->by_key, access_key);
    if (found)
        *out = *found;
    pthread_mutex_unlock(&c->lock);
    return found != NULL;
}
