#include "cli/cli.h"
#include "cli/plan_file.h"
#include "cli/report.h"

#include <string.h>

/* The agent answers when the run is over; its pace is the Region's API rate. */
#define RUN_MS (6L * 3600 * 1000)

struct reconcile {
    bool dry;
    const char *save;
    const char *plan;
};

static int run(struct sup_cli *cli, const struct reconcile *o, json_t **v, long *status,
               struct sup_err *err)
{
    struct sup_plan_file plan;
    char body[160];
    int rc;

    snprintf(body, sizeof(body), "{\"dry_run\":%s}", o->dry ? "true" : "false");
    if (o->plan != NULL) {
        rc = sup_plan_file_check(o->plan, &plan, err);
        if (rc != SUP_OK)
            return rc;
        json_t *b = json_pack("{s:s, s:s}", "plan", plan.id, "checksum", plan.checksum);
        size_t n = b ? json_dumpb(b, body, sizeof(body) - 1, JSON_COMPACT) : sizeof(body);
        json_decref(b);
        if (n >= sizeof(body))
            return sup_err_set(err, SUP_ECORRUPT, "%s: damaged id", o->plan);
        body[n] = '\0';
    }
    struct sup_call call = {
        .method = "POST", .target = "/v1/reconcile", .body = body, .body_n = strlen(body)};
    cli->transport = sup_transport_new(cli->socket);
    if (cli->transport == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_transport_set_timeout(cli->transport, RUN_MS);
    return sup_cli_call(cli, &call, v, status, err);
}

/* Prints the report; the exit status. */
static int show(struct sup_cli *cli, const struct reconcile *o, const json_t *v)
{
    struct sup_err err = {0};
    const char *error = sup_cli_text(v, "error", NULL);

    if (cli->json)
        sup_cli_put_json(v);
    else
        sup_report_put_text(cli, v);
    if (error != NULL)
        return sup_cli_error(o->plan != NULL ? SUP_EXIT_NO : SUP_EXIT_UNKNOWN, "reconcile: %s",
                             error);
    if (o->save != NULL &&
        sup_plan_file_save(cli, sup_cli_text(v, "id", ""), o->save, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "reconcile: the plan is not saved: %s", err.msg);
    return json_is_true(json_object_get(v, "converged")) ? SUP_EXIT_OK : SUP_EXIT_NO;
}

int sup_cmd_reconcile(struct sup_cli *cli, int argc, char **argv)
{
    struct sup_err err = {0};
    struct reconcile o = {0};
    json_t *v = NULL;
    long status = 0;
    const struct sup_cli_option options[] = {
        {"dry-run", NULL, &o.dry}, {"save", &o.save, NULL}, {"plan", &o.plan, NULL}};
    int at = sup_cli_options(cli, argc, argv, options, 3);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    if (o.save != NULL && !o.dry)
        return sup_cli_usage_error(cli, "--save goes with --dry-run");
    if (o.plan != NULL && o.dry)
        return sup_cli_usage_error(cli, "--plan or --dry-run, not both");
    int rc = run(cli, &o, &v, &status, &err);
    int exit_status;
    if (rc != SUP_OK)
        exit_status = sup_cli_error(rc == SUP_ECORRUPT || rc == SUP_EVERSION || rc == SUP_EINPUT
                                        ? SUP_EXIT_NO
                                        : SUP_EXIT_UNKNOWN,
                                    "reconcile: %s", err.msg);
    else if (status != 200 || v == NULL)
        exit_status = sup_cli_error(o.plan != NULL ? sup_cli_status_exit(status) : SUP_EXIT_UNKNOWN,
                                    "reconcile: %s", sup_cli_detail(v));
    else
        exit_status = show(cli, &o, v);
    json_decref(v);
    return exit_status;
}
