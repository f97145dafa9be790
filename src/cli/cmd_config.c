#include "agent/config.h"
#include "cli/cli.h"

#include <string.h>

#define PRINT_MAX (4 * 1024 * 1024)

int sup_cmd_config(struct sup_cli *cli, int argc, char **argv)
{
    const char *path = NULL;
    const struct sup_cli_option options[] = {{"config", &path, NULL}};
    struct sup_config config;
    struct sup_err err;
    struct sup_buf text;
    int at = sup_cli_options(cli, argc, argv, options, 1);
    if (at < 0)
        return sup_cli_exit(at);
    if (at + 1 != argc || strcmp(argv[at], "check") != 0 || path == NULL)
        return sup_cli_usage_error(cli, "use config check --config FILE");
    if (sup_config_load(path, &config, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_USAGE, "%s", err.msg);
    sup_buf_init(&text, PRINT_MAX);
    sup_config_print(&config, &text);
    fputs(sup_buf_str(&text), stdout);
    sup_buf_fini(&text);
    sup_config_fini(&config);
    return SUP_EXIT_OK;
}
