#include "cli/ruling.h"

int sup_cmd_clear(struct sup_cli *cli, int argc, char **argv)
{
    const char *note = NULL;
    bool force = false;
    const struct sup_cli_option options[] = {{"note", &note, NULL}, {"force", NULL, &force}};
    int at = sup_cli_options(cli, argc, argv, options, 2);
    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(cli, "no address given");
    if (note == NULL || *note == '\0')
        return sup_cli_usage_error(cli, "--note is missing: say why");
    json_t *body =
        json_pack("{s:s, s:s, s:b}", "note", note, "actor", sup_cli_actor(), "force", force);
    struct sup_cli_addresses from = {.argv = argv, .argc = argc, .at = at};
    int status =
        sup_cli_rule(cli, "DELETE", body, &from, force ? NULL : "use --force to clear it anyway");
    json_decref(body);
    return status;
}
