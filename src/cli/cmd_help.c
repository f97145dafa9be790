#include "cli/cli.h"

int sup_cmd_version(struct sup_cli *cli, int argc, char **argv)
{
    int at = sup_cli_options(cli, argc, argv, NULL, 0);
    if (at < 0)
        return sup_cli_exit(at);
    if (cli->json)
        printf("{\"version\":\"%s\"}\n", SUPSYNC_VERSION);
    else
        printf("supsync %s\n", SUPSYNC_VERSION);
    return SUP_EXIT_OK;
}

int sup_cmd_help(struct sup_cli *cli, int argc, char **argv)
{
    (void)cli;
    return sup_cli_help(argc > 1 && argv[1][0] != '-' ? argv[1] : NULL);
}
