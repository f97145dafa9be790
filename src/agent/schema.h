#ifndef SUP_AGENT_SCHEMA_H
#define SUP_AGENT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

/* The configuration as a table: every key with its type, range, default and place. Reading,
 * printing and comparing all walk this one table. */

enum sup_key_type {
    SUP_KEY_STRING,   /* const char * */
    SUP_KEY_FILE,     /* const char *; must be readable; relative to the configuration file */
    SUP_KEY_PATH,     /* const char *; need not exist; relative to the configuration file */
    SUP_KEY_UINT,     /* unsigned */
    SUP_KEY_UINT64,   /* uint64_t */
    SUP_KEY_MIB,      /* uint64_t, bytes; written in MiB */
    SUP_KEY_NUMBER,   /* double */
    SUP_KEY_BOOL,     /* bool */
    SUP_KEY_DURATION, /* int64_t, milliseconds; min and max too */
    SUP_KEY_ENUM,     /* enum; the value is the index in names */
    SUP_KEY_STRINGS,  /* list of strings */
    SUP_KEY_MAPS      /* list of maps; the element's keys follow as "path[].key" */
};

struct sup_key {
    const char *path; /* "ses.mode"; "sqs[].receivers" within an element */
    enum sup_key_type type;
    size_t offset;   /* in struct sup_config, or in the element */
    const char *def; /* as one would write it; NULL: the key must be given */
    double min, max;
    bool (*check)(const char *value);
    const char *what;         /* what is allowed, after "use "; NULL: made from type and range */
    const char *const *names; /* SUP_KEY_ENUM; ends with NULL */
    size_t elem_size;         /* lists: size of an element */
    size_t count_offset;      /* lists: the size_t that counts them */
    bool reload;              /* a reload may change it */
    bool unique;              /* no two elements of the list have the same */
};

extern const struct sup_key sup_schema[];
extern const size_t sup_schema_len;

/* The key at exactly this path, or NULL. */
const struct sup_key *sup_schema_find(const char *path);
/* Is path a section: does a longer key begin with it and a dot? */
bool sup_schema_is_section(const char *path);

/* Checks of single values (checks.c). */
bool sup_check_node(const char *s);
bool sup_check_word(const char *s);
bool sup_check_region(const char *s);
bool sup_check_host_port(const char *s);
bool sup_check_aws_url(const char *s); /* https://, or http:// to this machine */
bool sup_check_mesh_url(const char *s);
bool sup_check_topic(const char *s);
bool sup_check_loopback_url(const char *s);
bool sup_check_bucket(const char *s);
bool sup_check_prefix(const char *s);
bool sup_check_key_prefix(const char *s); /* whatever an S3 key may begin with; "" too */
bool sup_check_region_or_none(const char *s);
/* Is HOST in "HOST:PORT", or in a URL, this machine's loopback? */
bool sup_is_loopback(const char *host_port);
bool sup_is_plain_mesh_url(const char *url); /* tcp:// */

#endif
