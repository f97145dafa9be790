#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void put_fuse(struct sup_cli *cli, const json_t *v)
{
    const char *state = sup_cli_text(v, "state", "?");
    const char *actor = sup_cli_text(v, "actor", NULL);

    printf("fuse: ");
    sup_cli_put(cli, strcmp(state, "tripped") == 0 ? SUP_RED : SUP_PLAIN, 0, state);
    if (strcmp(state, "closed") != 0)
        printf(", since %s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
               " entries vanished from the SES list (report %s)",
               sup_cli_text(v, "since", "?"), json_integer_value(json_object_get(v, "removals")),
               json_integer_value(json_object_get(v, "listed")), sup_cli_text(v, "report", "?"));
    if (actor != NULL)
        printf(", by %s", actor);
    putchar('\n');
}

static int call_fuse(struct sup_cli *cli, const struct sup_call *call)
{
    struct sup_err err = {0};
    json_t *v = NULL;
    long status = 0;
    int exit_status;

    if (sup_cli_call(cli, call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "fuse: %s", err.msg);
    if (status != 200 || v == NULL)
        exit_status = sup_cli_error(sup_cli_status_exit(status), "fuse: %s", sup_cli_detail(v));
    else {
        exit_status =
            strcmp(call->method, "GET") == 0 && strcmp(sup_cli_text(v, "state", ""), "tripped") == 0
                ? SUP_EXIT_NO
                : SUP_EXIT_OK;
        if (cli->json)
            sup_cli_put_json(v);
        else
            put_fuse(cli, v);
    }
    json_decref(v);
    return exit_status;
}

static int decide(struct sup_cli *cli, const char *decision)
{
    json_t *body = json_pack("{s:s, s:s}", "decision", decision, "actor", sup_cli_actor());
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    int status;

    if (text == NULL) {
        status = sup_cli_error(SUP_EXIT_UNKNOWN, "fuse: out of memory");
    } else {
        struct sup_call call = {
            .method = "POST", .target = "/v1/fuse", .body = text, .body_n = strlen(text)};
        status = call_fuse(cli, &call);
    }
    free(text);
    json_decref(body);
    return status;
}

int sup_cmd_fuse(struct sup_cli *cli, int argc, char **argv)
{
    int at = sup_cli_options(cli, argc, argv, NULL, 0);

    if (at < 0)
        return sup_cli_exit(at);
    if (at + 1 != argc)
        return sup_cli_usage_error(cli, "use show, confirm or decline");
    if (strcmp(argv[at], "show") == 0) {
        struct sup_call call = {.method = "GET", .target = "/v1/fuse"};
        return call_fuse(cli, &call);
    }
    if (strcmp(argv[at], "confirm") == 0 || strcmp(argv[at], "decline") == 0)
        return decide(cli, argv[at]);
    return sup_cli_usage_error(cli, "use show, confirm or decline");
}
