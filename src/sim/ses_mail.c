#include "clock.h"
#include "region.h"
#include "ses.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Like 0102018f3c1b2a4d-6f1c…-000000: a time in front, so ids sort by it. */
void sim_ses_make_id(const struct sim_request *r, char id[SIM_SES_ID_LEN])
{
    char uuid[SIM_UUID_LEN];
    sim_uuid(uuid);
    snprintf(id, SIM_SES_ID_LEN, "0102%012" PRIx64 "-%s-000000",
             (uint64_t)sim_region_now(r->region) & 0xffffffffffff, uuid);
}

char *sim_mail_bare_address(const char *text)
{
    const char *open = strrchr(text, '<');
    const char *close = open ? strchr(open, '>') : NULL;
    if (close)
        return sim_strndup(open + 1, (size_t)(close - open - 1));
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    return sim_strndup(text, n);
}

/* Splits at commas outside quotes and angle brackets. */
static void add_addresses(const char *list, json_t *out)
{
    bool quoted = false, angled = false;
    const char *start = list;
    for (const char *p = list;; p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (*p == '<' || *p == '>'))
            angled = *p == '<';
        if (*p && !(*p == ',' && !quoted && !angled))
            continue;
        char *one = sim_strndup(start, (size_t)(p - start));
        char *address = sim_mail_bare_address(one);
        if (*address)
            json_array_append_new(out, json_string(address));
        free(one);
        free(address);
        if (!*p)
            return;
        start = p + 1;
    }
}

static void use_header(const char *line, json_t *recipients, char **subject, char **from)
{
    const char *colon = strchr(line, ':');
    if (!colon)
        return;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (sim_ihas_prefix(line, "to:") || sim_ihas_prefix(line, "cc:") ||
        sim_ihas_prefix(line, "bcc:"))
        add_addresses(value, recipients);
    else if (sim_ihas_prefix(line, "subject:") && !*subject)
        *subject = sim_strdup(value);
    else if (sim_ihas_prefix(line, "from:") && !*from)
        *from = sim_strdup(value);
}

void sim_mail_read_headers(const char *text, size_t n, json_t *recipients, char **subject,
                           char **from)
{
    struct sim_buf line = {0};
    const char *end = text + n;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        size_t len = (size_t)(stop - text);
        if (len && text[len - 1] == '\r')
            len--;
        bool folded = len && (*text == ' ' || *text == '\t');
        if (!folded) {
            use_header(sim_buf_cstr(&line), recipients, subject, from);
            sim_buf_fini(&line);
        }
        if (!len)
            break;
        if (!memchr(text, 0, len))
            sim_buf_add(&line, text, len);
        text = stop + 1;
    }
    use_header(sim_buf_cstr(&line), recipients, subject, from);
    sim_buf_fini(&line);
}
