/* What parsing the pages of a SES list costs alone: the yardstick beside a scan's CPU per entry.
 *
 *   bench_list_parse [PAGES]      pages of 1000 entries, default 1000; one line of JSON */
#include "common.h"

#include <jansson.h>

#define ENTRIES 1000

static char *make_page(void)
{
    json_t *list = json_array();
    json_t *page = json_pack("{s:o, s:s}", "SuppressedDestinationSummaries", list, "NextToken",
                             "AYADeJ0u4xVtgk3bVfUzHhOQ6XYAAAABAAdhd3Mta21zAEt/");
    char address[64];
    char *text;

    for (int i = 0; i < ENTRIES; i++) {
        snprintf(address, sizeof(address), "recipient.%07d@mail%02d.example.com", i * 7919,
                 i % 100);
        json_array_append_new(list, json_pack("{s:s, s:s, s:f}", "EmailAddress", address, "Reason",
                                              i % 5 ? "BOUNCE" : "COMPLAINT", "LastUpdateTime",
                                              1700000000.123 + i));
    }
    text = json_dumps(page, JSON_COMPACT);
    json_decref(page);
    return text;
}

int main(int argc, char **argv)
{
    long pages = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    char *text = make_page();
    size_t n = text ? strlen(text) : 0;
    double begin = bench_cpu_s();
    size_t entries = 0;

    for (long i = 0; text && i < pages; i++) {
        json_t *page = json_loadb(text, n, 0, NULL);
        entries += json_array_size(json_object_get(page, "SuppressedDestinationSummaries"));
        json_decref(page);
    }
    double us = (bench_cpu_s() - begin) * 1e6 / (double)(entries > 0 ? entries : 1);
    printf("{\"bench\":\"list_parse\",\"entries\":%zu,\"page_bytes\":%zu,\"json_us_per_entry\":%."
           "3f}\n",
           entries, n, us);
    free(text);
    return entries > 0 ? 0 : 1;
}
