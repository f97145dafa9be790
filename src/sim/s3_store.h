#ifndef SIM_S3_STORE_H
#define SIM_S3_STORE_H

#include "buf.h"
#include "strmap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* S3's buckets, all Regions in one name space, objects in memory. Any thread. */
struct sim_s3 {
    pthread_mutex_t lock;
    struct sim_strmap buckets;
};

struct sim_object {
    struct sim_buf data;
    char *content_type;
    char *content_encoding; /* NULL: none */
    char etag[40];          /* quoted MD5 */
    int64_t modified_ms;
};
void sim_object_fini(struct sim_object *o);

enum sim_s3_result { SIM_S3_OK, SIM_S3_NO_BUCKET, SIM_S3_NO_KEY };

void sim_s3_init(struct sim_s3 *s);
void sim_s3_fini(struct sim_s3 *s);
/* false: there is one already. */
bool sim_s3_make_bucket(struct sim_s3 *s, const char *name, const char *region);
/* region: 64 bytes, may be NULL. */
bool sim_s3_find_bucket(struct sim_s3 *s, const char *name, char *region);
/* o moves in on SIM_S3_OK and is emptied; its etag is made here. */
enum sim_s3_result sim_s3_put(struct sim_s3 *s, const char *bucket, const char *key,
                              struct sim_object *o);
/* A copy; sim_object_fini. */
enum sim_s3_result sim_s3_get(struct sim_s3 *s, const char *bucket, const char *key,
                              struct sim_object *o);
enum sim_s3_result sim_s3_delete(struct sim_s3 *s, const char *bucket, const char *key);
/* visit gets the keys in ascending order, under the lock, until it returns false. */
enum sim_s3_result
sim_s3_list(struct sim_s3 *s, const char *bucket,
            bool (*visit)(const char *key, const struct sim_object *o, void *arg), void *arg);
void sim_s3_each_bucket(struct sim_s3 *s, void (*visit)(const char *name, void *v, void *arg),
                        void *arg);

#endif
