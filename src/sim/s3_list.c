#include "clock.h"
#include "region.h"
#include "s3.h"
#include "sim.h"
#include "xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 1000

struct listing {
    const char *prefix;
    const char *delimiter;
    const char *after; /* keys up to this one were seen */
    bool encode;
    int64_t max;
    int64_t n;
    bool truncated;
    char *last;
    struct sim_buf contents;
    char *group; /* newest common prefix */
    struct sim_buf groups;
};

static void add_key(struct listing *l, struct sim_buf *out, const char *name, const char *key)
{
    struct sim_buf text = {0};
    if (l->encode)
        sim_uri_encode(&text, key, strlen(key), true);
    else
        sim_buf_str(&text, key);
    sim_xml_element(out, name, sim_buf_cstr(&text));
    sim_buf_fini(&text);
}

static void add_object(struct listing *l, const char *key, const struct sim_object *o)
{
    char when[SIM_TIME_LEN];
    sim_time_iso(when, o->modified_ms);
    sim_buf_str(&l->contents, "<Contents>");
    add_key(l, &l->contents, "Key", key);
    sim_xml_element(&l->contents, "LastModified", when);
    sim_xml_element(&l->contents, "ETag", o->etag);
    sim_buf_printf(&l->contents, "<Size>%zu</Size><StorageClass>STANDARD</StorageClass></Contents>",
                   o->data.len);
}

static char *group_of(const struct listing *l, const char *key)
{
    if (!*l->delimiter)
        return NULL;
    const char *end = strstr(key + strlen(l->prefix), l->delimiter);
    return end ? sim_strndup(key, (size_t)(end - key) + strlen(l->delimiter)) : NULL;
}

static bool visit(const char *key, const struct sim_object *o, void *arg)
{
    struct listing *l = arg;
    if (strncmp(key, l->prefix, strlen(l->prefix)) != 0 || strcmp(key, l->after) <= 0)
        return true;
    char *group = group_of(l, key);
    bool grouped = group && l->group && strcmp(group, l->group) == 0;
    if (!grouped && l->n == l->max) {
        l->truncated = true;
        free(group);
        return false;
    }
    free(l->last);
    l->last = sim_strdup(key);
    if (grouped) {
        free(group);
        return true;
    }
    l->n++;
    if (!group) {
        add_object(l, key, o);
        return true;
    }
    sim_buf_str(&l->groups, "<CommonPrefixes>");
    add_key(l, &l->groups, "Prefix", group);
    sim_buf_str(&l->groups, "</CommonPrefixes>");
    free(l->group);
    l->group = group;
    return true;
}

static void write_listing(struct sim_request *r, struct listing *l)
{
    struct sim_buf *out = &r->reply.body;
    r->reply.content_type = "application/xml";
    sim_buf_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
                     "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    sim_xml_element(out, "Name", r->target);
    add_key(l, out, "Prefix", l->prefix);
    if (*l->delimiter)
        add_key(l, out, "Delimiter", l->delimiter);
    if (l->encode)
        sim_xml_element(out, "EncodingType", "url");
    sim_buf_printf(out,
                   "<KeyCount>%lld</KeyCount><MaxKeys>%lld</MaxKeys><IsTruncated>%s</IsTruncated>",
                   (long long)l->n, (long long)l->max, l->truncated ? "true" : "false");
    if (l->truncated && l->last) {
        struct sim_buf token = {0};
        sim_base64(&token, l->last, strlen(l->last));
        sim_xml_element(out, "NextContinuationToken", sim_buf_cstr(&token));
        sim_buf_fini(&token);
    }
    sim_buf_add(out, l->contents.data, l->contents.len);
    sim_buf_add(out, l->groups.data, l->groups.len);
    sim_buf_str(out, "</ListBucketResult>");
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

enum sim_outcome sim_s3_list_objects(struct sim_request *r)
{
    if (sim_s3_elsewhere(r))
        return SIM_DONE;
    const char *max = sim_pairs_get(&r->query, "max-keys");
    const char *token = sim_pairs_get(&r->query, "continuation-token");
    const char *encoding = sim_pairs_get(&r->query, "encoding-type");
    struct sim_buf after = {0};
    struct listing l = {.prefix = or_empty(sim_pairs_get(&r->query, "prefix")),
                        .delimiter = or_empty(sim_pairs_get(&r->query, "delimiter")),
                        .after = or_empty(sim_pairs_get(&r->query, "start-after")),
                        .encode = encoding && strcmp(encoding, "url") == 0,
                        .max = KEYS_MAX};
    if ((max && (!sim_parse_i64(max, &l.max) || l.max < 0)) ||
        (token && !sim_base64_decode(&after, token, strlen(token)))) {
        sim_buf_fini(&after);
        return sim_fail(r, 400, "InvalidArgument", "max-keys or continuation-token is wrong.");
    }
    if (l.max > KEYS_MAX)
        l.max = KEYS_MAX;
    if (token)
        l.after = sim_buf_cstr(&after);
    if (sim_s3_list(&r->sim->s3, r->target, visit, &l) == SIM_S3_OK)
        write_listing(r, &l);
    else
        sim_fail(r, 404, "NoSuchBucket", "The specified bucket does not exist");
    free(l.last);
    free(l.group);
    sim_buf_fini(&l.contents);
    sim_buf_fini(&l.groups);
    sim_buf_fini(&after);
    return SIM_DONE;
}
