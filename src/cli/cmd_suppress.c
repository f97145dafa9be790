#include "base/clock.h"
#include "cli/ruling.h"

#include <string.h>
#include <strings.h>

static bool is_reason(const char *s)
{
    return strcasecmp(s, "bounce") == 0 || strcasecmp(s, "complaint") == 0 ||
           strcasecmp(s, "manual") == 0;
}

int sup_cmd_suppress(struct sup_cli *cli, int argc, char **argv)
{
    const char *reason = NULL, *note = NULL, *expires = NULL;
    const struct sup_cli_option options[] = {
        {"reason", &reason, NULL}, {"note", &note, NULL}, {"expires", &expires, NULL}};
    int64_t ms;
    int at = sup_cli_options(cli, argc, argv, options, 3);
    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(cli, "no address given");
    if (reason == NULL || !is_reason(reason))
        return sup_cli_usage_error(cli, "--reason: use bounce, complaint or manual");
    if (note == NULL || *note == '\0')
        return sup_cli_usage_error(cli, "--note is missing: say why");
    if (expires != NULL && (sup_duration_parse(expires, &ms) != SUP_OK || ms <= 0))
        return sup_cli_usage_error(cli, "--expires: use a duration such as 12h or 30d");
    json_t *body = json_pack("{s:s, s:s, s:s, s:s?}", "reason", reason, "note", note, "actor",
                             sup_cli_actor(), "expires", expires);
    struct sup_cli_addresses from = {.argv = argv, .argc = argc, .at = at};
    int status = sup_cli_rule(cli, "PUT", body, &from, NULL);
    json_decref(body);
    return status;
}
