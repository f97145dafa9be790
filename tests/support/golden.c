#include "golden.h"

#include "codec/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static FILE *open_file(const char *name, const char *mode)
{
    const char *source = getenv("SUPSYNC_SOURCE");
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/tests/unit/codec/golden/%s.hex", source ? source : ".",
                   name);
    file = fopen(path, mode);
    if (!file)
        fail_msg("%s: bytes that were written or sent once are kept", path);
    return file;
}

void golden_add(struct sup_buf *hex, struct sup_slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        sup_buf_addf(hex, "%02x%s", bytes.p[i], i % 32 == 31 || i + 1 == bytes.n ? "\n" : "");
}

void golden_add_frame(struct sup_buf *hex, uint16_t type, struct sup_slice body)
{
    struct sup_buf frame;

    sup_buf_init(&frame, SUP_FRAME_BODY_MAX + 64);
    assert_int_equal(sup_frame_encode(type, sup_frame_type_flags(type), body, &frame), 0);
    golden_add(hex, sup_buf_slice(&frame));
    sup_buf_fini(&frame);
}

void golden_check(const char *name, struct sup_buf *hex)
{
    static char text[65536];
    bool write = getenv("SUPSYNC_GOLDEN_WRITE") != NULL;
    FILE *file = open_file(name, write ? "w" : "r");

    if (write)
        assert_int_equal(fwrite(hex->p, 1, hex->n, file), hex->n);
    else
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    if (!write)
        assert_string_equal(text, sup_buf_str(hex));
}

void golden_load(const char *name, uint8_t *out, size_t *n, size_t max)
{
    FILE *file = open_file(name, "r");
    unsigned byte;

    for (*n = 0; *n < max && fscanf(file, "%2x", &byte) == 1;)
        out[(*n)++] = (uint8_t)byte;
    (void)fclose(file);
}
