#include "cli/cli.h"

int main(int argc, char **argv)
{
    return sup_cli_main(argc, argv);
}
