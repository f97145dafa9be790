#include "cli/cli.h"
#include "cli/client_internal.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 1000

struct checking {
    struct sup_cli *cli;
    char *addresses[BATCH];
    bool blocked, unknown;
};

static void put_text(struct checking *c, const char *address, const json_t *answer,
                     const char *verdict, const char *why)
{
    enum sup_colour colour = strcmp(verdict, "allow") == 0   ? SUP_GREEN
                             : strcmp(verdict, "block") == 0 ? SUP_RED
                                                             : SUP_YELLOW;
    sup_cli_put(c->cli, colour, 9, verdict);
    sup_cli_put(c->cli, SUP_PLAIN, 0, address);
    if (colour == SUP_RED) {
        sup_cli_put(c->cli, SUP_PLAIN, 0, "  ");
        sup_cli_put(c->cli, SUP_PLAIN, 0, sup_cli_text(answer, "reason", ""));
        sup_cli_put(c->cli, SUP_DIM, 0, ", ");
        sup_cli_put(c->cli, SUP_DIM, 0, sup_cli_text(answer, "cause", "cause unknown"));
        sup_cli_put(c->cli, SUP_DIM, 0, ", since ");
        sup_cli_put(c->cli, SUP_DIM, 0, sup_cli_text(answer, "since", "ever"));
    } else if (colour == SUP_YELLOW) {
        sup_cli_put(c->cli, SUP_PLAIN, 0, "  ");
        sup_cli_put(c->cli, SUP_DIM, 0, why);
    }
    putchar('\n');
}

static void put_json(const char *address, const json_t *answer, const char *why)
{
    if (answer != NULL) {
        sup_cli_put_json(answer);
        return;
    }
    /* s? gives null for what is not UTF-8, as it cannot stand in JSON. */
    json_t *name = json_string(address);
    json_t *v = json_pack("{s:o?, s:s, s:n, s:n, s:n, s:[], s:s}", "address", name, "verdict",
                          "unknown", "reason", "cause", "since", "regions", "why", why);
    sup_cli_put_json(v);
    json_decref(v);
}

static void each(void *arg, size_t i, const json_t *answer, const char *why)
{
    struct checking *c = arg;
    const char *verdict = sup_cli_text(answer, "verdict", "unknown");
    c->blocked |= strcmp(verdict, "block") == 0;
    c->unknown |= strcmp(verdict, "block") != 0 && strcmp(verdict, "allow") != 0;
    if (c->cli->json)
        put_json(c->addresses[i], answer, why);
    else
        put_text(c, c->addresses[i], answer, verdict, sup_cli_text(answer, "why", why));
}

static size_t fill_batch(struct checking *c, struct sup_cli_addresses *from)
{
    const char *s;
    size_t n = 0;
    while (n < BATCH && (s = sup_cli_next_address(from)) != NULL) {
        c->addresses[n] = strdup(s);
        if (c->addresses[n] == NULL)
            break;
        n++;
    }
    return n;
}

static void run_batches(struct checking *c, struct sup_client *client,
                        struct sup_cli_addresses *from)
{
    struct sup_err err = {0};
    bool told = false;
    size_t n;
    while ((n = fill_batch(c, from)) > 0) {
        int rc = sup_client_check_raw(client, (const char *const *)c->addresses, n, each, c, &err);
        if (rc != SUP_OK && !told) {
            sup_cli_error(0, "check: %s", err.msg);
            told = true;
        }
        for (size_t i = 0; i < n; i++)
            free(c->addresses[i]);
    }
}

int sup_cmd_check(struct sup_cli *cli, int argc, char **argv)
{
    int at = sup_cli_options(cli, argc, argv, NULL, 0);
    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(cli, "no address given");
    struct sup_cli_addresses from = {.argv = argv, .argc = argc, .at = at};
    struct checking *c = calloc(1, sizeof(*c));
    struct sup_client *client = sup_client_open(cli->socket);
    int status = SUP_EXIT_UNKNOWN;
    if (c == NULL || client == NULL) {
        sup_cli_error(status, "check: out of memory");
    } else {
        c->cli = cli;
        run_batches(c, client, &from);
        status = c->unknown ? SUP_EXIT_UNKNOWN : c->blocked ? SUP_EXIT_NO : SUP_EXIT_OK;
    }
    sup_client_close(client);
    free(c);
    return status;
}
