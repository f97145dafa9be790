/* Fixed cases whose traces are kept (golden/): nothing random but the jitter, which has its seed.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

int sim_scenario(const char *name)
{
    fprintf(stderr, "no scenario %s\n", name);
    return 2;
}
