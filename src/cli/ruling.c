#include "cli/ruling.h"

#include <stdlib.h>
#include <string.h>

static void put_result(struct sup_cli *cli, const char *address, const char *result,
                       const char *error)
{
    if (cli->json) {
        json_t *name = json_string(address);
        json_t *v = error == NULL ? json_pack("{s:o?, s:s}", "address", name, "result", result)
                                  : json_pack("{s:o?, s:s, s:s}", "address", name, "result", result,
                                              "error", error);
        sup_cli_put_json(v);
        json_decref(v);
        return;
    }
    if (error != NULL)
        return; /* stands on standard error */
    sup_cli_put(cli, SUP_GREEN, 12, result);
    sup_cli_put(cli, SUP_PLAIN, 0, address);
    putchar('\n');
}

static int rule_one(struct sup_cli *cli, const char *method, const char *body, const char *address,
                    const char *hint)
{
    struct sup_buf target;
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;

    sup_buf_init(&target, 16 * 1024);
    sup_buf_add_str(&target, "/v1/addresses/");
    sup_percent_encode(&target, address);
    int rc;
    if (target.failed)
        rc = sup_err_set(&err, SUP_EINPUT, "not an address: too long");
    else
        rc = sup_cli_call(cli,
                          &(struct sup_call){.method = method,
                                             .target = sup_buf_str(&target),
                                             .body = body,
                                             .body_n = strlen(body)},
                          &answer, &status, &err);
    int exit_status = rc == SUP_EINPUT ? SUP_EXIT_NO
                      : rc != SUP_OK   ? SUP_EXIT_UNKNOWN
                                       : sup_cli_status_exit(status);
    const char *error = rc != SUP_OK ? err.msg : sup_cli_detail(answer);
    if (exit_status == SUP_EXIT_OK) {
        put_result(cli, sup_cli_text(answer, "address", address),
                   sup_cli_text(answer, "result", "done"), NULL);
    } else {
        bool add_hint = hint != NULL && status == 409;
        sup_cli_error(0, "%s %.330s: %s%s%s", cli->command->name, address, error,
                      add_hint ? ": " : "", add_hint ? hint : "");
        put_result(cli, address, exit_status == SUP_EXIT_NO ? "refused" : "failed", error);
    }
    json_decref(answer);
    sup_buf_fini(&target);
    return exit_status;
}

int sup_cli_rule(struct sup_cli *cli, const char *method, json_t *body,
                 struct sup_cli_addresses *from, const char *hint)
{
    const char *address;
    int worst = SUP_EXIT_OK;
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text == NULL)
        return sup_cli_usage_error(cli, "--note is not UTF-8");
    while ((address = sup_cli_next_address(from)) != NULL) {
        int status = rule_one(cli, method, text, address, hint);
        worst = status > worst ? status : worst;
    }
    free(text);
    return worst;
}
