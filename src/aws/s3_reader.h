#ifndef SUP_AWS_S3_READER_H
#define SUP_AWS_S3_READER_H

#include "aws/s3_list.h"

/* One object's bytes, in parts of some MiB, each a GetObject with Range and If-Match: memory is a
 * part whatever the size, a connection that breaks costs a part, and an object that is replaced
 * meanwhile is noticed. One thread. */
struct sup_s3_reader {
    struct sup_s3_bucket *bucket; /* borrowed, like the object's texts */
    struct sup_s3_object object;
    struct sup_stop *stop;
    size_t part_size;
    struct sup_http_response part;
    size_t part_at;
    uint64_t fetched; /* bytes of the object up to the end of the part */
};

#define SUP_S3_PART_SIZE ((size_t)4 << 20)

void sup_s3_reader_init(struct sup_s3_reader *r, struct sup_s3_bucket *bucket,
                        const struct sup_s3_object *o, struct sup_stop *stop);
void sup_s3_reader_fini(struct sup_s3_reader *r);
/* At least one byte, or *n = 0 at the end. Codes of sup_s3_get, but SUP_EAUTH for whatever S3
 * refuses; SUP_EIO: it gave another part than was asked for. arg is the reader (the shape that
 * core/archive_reader.h reads from). */
int sup_s3_reader_read(void *arg, uint8_t *to, size_t room, size_t *n, struct sup_err *err);

#endif
