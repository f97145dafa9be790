#include "cli/cli.h"
#include "cli/coverage.h"

#include <string.h>

/* One call for each configuration set and tenant, about one a second. */
#define AUDIT_MS (6L * 3600 * 1000)
#define LABEL    12

static void put_reasons(const json_t *list)
{
    size_t i;
    json_t *each;

    if (!json_is_array(list)) {
        fputs("not known", stdout);
        return;
    }
    json_array_foreach(list, i, each)
    {
        printf("%s%s", i > 0 ? ", " : "", json_string_value(each));
    }
    if (json_array_size(list) == 0)
        fputs("none", stdout);
}

static void put_account(struct sup_cli *cli, const json_t *account)
{
    sup_cli_put(cli, SUP_DIM, LABEL, "account");
    put_reasons(json_object_get(account, "suppressed_reasons"));
    printf("; %s, %s, %s\n",
           json_is_true(json_object_get(account, "production_access")) ? "production access"
                                                                       : "sandbox",
           json_is_true(json_object_get(account, "sending_enabled")) ? "sending" : "paused",
           sup_cli_text(account, "enforcement_status", "?"));
}

/* What is as the account is needs no words. */
static void put_items(struct sup_cli *cli, const char *label, const json_t *list)
{
    size_t i;
    json_t *item;

    sup_cli_put(cli, SUP_DIM, LABEL, label);
    if (!json_is_array(list)) {
        puts("not known");
        return;
    }
    if (json_array_size(list) == 0)
        puts("none");
    json_array_foreach(list, i, item)
    {
        sup_cli_put(cli, SUP_DIM, i > 0 ? LABEL : 0, "");
        sup_cli_put(cli, SUP_PLAIN, 32, sup_cli_text(item, "name", "?"));
        putchar(' ');
        if (json_is_null(json_object_get(item, "overrides")))
            fputs("not known", stdout);
        else if (json_is_false(json_object_get(item, "overrides")))
            fputs("as the account", stdout);
        else
            put_reasons(json_object_get(item, "suppressed_reasons"));
        if (strcmp(sup_cli_text(item, "scope", "ACCOUNT"), "ACCOUNT") != 0)
            printf("; scope %s", sup_cli_text(item, "scope", "?"));
        putchar('\n');
    }
}

static void put_changes(struct sup_cli *cli, const json_t *list)
{
    size_t i;
    json_t *change;

    json_array_foreach(list, i, change)
    {
        sup_cli_put(cli, SUP_DIM, LABEL, i == 0 ? "changed" : "");
        printf("%s ", sup_cli_text(change, "time", "?"));
        sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(change, "text", ""));
        putchar('\n');
    }
}

static void put_coverage(struct sup_cli *cli, const json_t *v)
{
    sup_coverage_put_text(cli, v, LABEL);
    put_account(cli, json_object_get(v, "account"));
    put_items(cli, "sets", json_object_get(v, "configuration_sets"));
    put_items(cli, "tenants", json_object_get(v, "tenants"));
    put_changes(cli, json_object_get(v, "changes"));
}

static int exit_of(const json_t *v)
{
    const char *state = sup_cli_text(v, "state", "");

    if (strcmp(state, "covered") == 0)
        return SUP_EXIT_OK;
    return strcmp(state, "gaps") == 0 ? SUP_EXIT_NO : SUP_EXIT_UNKNOWN;
}

int sup_cmd_audit_coverage(struct sup_cli *cli, int argc, char **argv)
{
    bool cached = false;
    const struct sup_cli_option options[] = {{"cached", NULL, &cached}};
    struct sup_call call = {.method = "GET"};
    struct sup_err err = {0};
    json_t *v = NULL;
    long status = 0;
    int at = sup_cli_options(cli, argc, argv, options, 1);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    call.target = cached ? "/v1/coverage?cached=true" : "/v1/coverage";
    cli->transport = sup_transport_new(cli->socket);
    if (cli->transport == NULL)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "audit-coverage: out of memory");
    sup_transport_set_timeout(cli->transport, AUDIT_MS);
    if (sup_cli_call(cli, &call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "audit-coverage: %s", err.msg);
    int exit_status = SUP_EXIT_UNKNOWN;
    if (status != 200 || v == NULL) {
        sup_cli_error(0, "audit-coverage: %s", sup_cli_detail(v));
    } else {
        exit_status = exit_of(v);
        if (cli->json)
            sup_cli_put_json(v);
        else
            put_coverage(cli, v);
    }
    json_decref(v);
    return exit_status;
}
