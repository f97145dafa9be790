#include "cli/cli.h"

#include <string.h>

static void put_field(struct sup_cli *cli, const char *name, const json_t *object, const char *key)
{
    const char *s = sup_cli_text(object, key, NULL);
    if (s == NULL)
        return;
    fputs("      ", stdout);
    sup_cli_put(cli, SUP_DIM, 13, name);
    sup_cli_put(cli, SUP_PLAIN, 0, s);
    putchar('\n');
}

/* Two nodes decided without knowing of each other: who won, and by what rule. */
static void put_overruled(struct sup_cli *cli, const json_t *o)
{
    if (o == NULL)
        return;
    sup_cli_put(cli, SUP_YELLOW, 0, "      overruled unseen");
    printf(" by the decision of %s at %s (later in: %s)\n", sup_cli_text(o, "origin", "?"),
           sup_cli_text(o, "time", "?"), sup_cli_text(o, "by", "?"));
}

static void put_decision(struct sup_cli *cli, const json_t *d)
{
    static const char *const evidence[][2] = {
        {"Region", "region"},          {"type", "sub_type"},           {"status", "status"},
        {"remote said", "diagnostic"}, {"feedback id", "feedback_id"}, {"message id", "message_id"},
        {"spelling", "spelling"},
    };
    const char *state = sup_cli_text(d, "state", "?");
    fputs("  ", stdout);
    sup_cli_put(cli, SUP_PLAIN, 26, sup_cli_text(d, "time", "?"));
    sup_cli_put(cli, strcmp(state, "suppressed") == 0 ? SUP_RED : SUP_GREEN, 12, state);
    sup_cli_put(cli, SUP_PLAIN, 11, sup_cli_text(d, "class", "?"));
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(d, "cause", "?"));
    putchar('\n');
    put_field(cli, "decided at", d, "origin");
    put_field(cli, "by", d, "actor");
    put_field(cli, "note", d, "note");
    put_field(cli, "expires", d, "expires");
    put_overruled(cli, json_object_get(d, "overruled_unseen"));
    for (size_t i = 0; i < sizeof(evidence) / sizeof(evidence[0]); i++)
        put_field(cli, evidence[i][0], json_object_get(d, "evidence"), evidence[i][1]);
}

static void put_decisions(struct sup_cli *cli, const char *title, const json_t *list)
{
    size_t i;
    json_t *d;
    printf("\n");
    sup_cli_put(cli, SUP_BOLD, 0, title);
    printf("%s\n", json_array_size(list) == 0 ? ": none" : "");
    json_array_foreach(list, i, d)
    {
        put_decision(cli, d);
    }
}

static void put_ses(struct sup_cli *cli, const json_t *list)
{
    size_t i;
    json_t *e;
    printf("\n");
    sup_cli_put(cli, SUP_BOLD, 0, "SES list");
    printf("%s\n", json_array_size(list) == 0 ? ": nothing known" : "");
    json_array_foreach(list, i, e)
    {
        bool present = json_is_true(json_object_get(e, "present"));
        fputs("  ", stdout);
        sup_cli_put(cli, SUP_PLAIN, 16, sup_cli_text(e, "region", "?"));
        sup_cli_put(cli, present ? SUP_RED : SUP_GREEN, 9, present ? "present" : "absent");
        sup_cli_put(cli, SUP_PLAIN, 11, sup_cli_text(e, "reason", ""));
        sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(e, "spelling", ""));
        if (json_is_true(json_object_get(e, "pending")))
            sup_cli_put(cli, SUP_YELLOW, 0, "  (a change is waiting)");
        putchar('\n');
        put_field(cli, "last update", e, "last_update");
        put_field(cli, "our write", e, "last_write");
        put_field(cli, "last error", e, "last_error");
    }
}

static void put_shown(struct sup_cli *cli, const json_t *v)
{
    const char *verdict = sup_cli_text(v, "verdict", "unknown");
    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(v, "address", "?"));
    fputs("  ", stdout);
    sup_cli_put(cli, strcmp(verdict, "allow") == 0 ? SUP_GREEN : SUP_RED, 0, verdict);
    fputs("  ", stdout);
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(v, "reason", ""));
    printf("\nfirst seen %s, last seen %s\n", sup_cli_text(v, "first_seen", "unknown"),
           sup_cli_text(v, "last_seen", "unknown"));
    put_decisions(cli, "Now in force", json_object_get(v, "registers"));
    put_decisions(cli, "History", json_object_get(v, "history"));
    put_ses(cli, json_object_get(v, "ses"));
}

int sup_cmd_show(struct sup_cli *cli, int argc, char **argv)
{
    struct sup_buf target;
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;
    int at = sup_cli_options(cli, argc, argv, NULL, 0);
    if (at < 0)
        return sup_cli_exit(at);
    if (at + 1 != argc)
        return sup_cli_usage_error(cli, "give one address");
    sup_buf_init(&target, 16 * 1024);
    sup_buf_add_str(&target, "/v1/addresses/");
    sup_percent_encode(&target, argv[at]);
    int exit_status;
    if (target.failed || argv[at][0] == '\0') {
        exit_status = sup_cli_error(SUP_EXIT_NO, "show: not an address: %s",
                                    target.failed ? "too long" : "empty");
    } else if (sup_cli_call(cli,
                            &(struct sup_call){.method = "GET", .target = sup_buf_str(&target)},
                            &answer, &status, &err) != SUP_OK) {
        exit_status = sup_cli_error(SUP_EXIT_UNKNOWN, "show: %s", err.msg);
    } else {
        exit_status = sup_cli_status_exit(status);
        if (exit_status != SUP_EXIT_OK)
            sup_cli_error(0, "show %.330s: %s", argv[at], sup_cli_detail(answer));
        else if (cli->json)
            sup_cli_put_json(answer);
        else
            put_shown(cli, answer);
    }
    json_decref(answer);
    sup_buf_fini(&target);
    return exit_status;
}
