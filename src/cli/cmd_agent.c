#include "agent/agent.h"
#include "cli/cli.h"

int sup_cmd_agent(struct sup_cli *cli, int argc, char **argv)
{
    const char *config = NULL;
    const struct sup_cli_option options[] = {{"config", &config, NULL}};
    int at = sup_cli_options(cli, argc, argv, options, 1);
    if (at < 0)
        return sup_cli_exit(at);
    if (config == NULL || at != argc)
        return sup_cli_usage_error(cli, "give --config FILE and nothing else");
    return sup_agent_run(config);
}
