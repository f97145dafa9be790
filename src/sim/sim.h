#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "creds.h"
#include "options.h"
#include "park.h"
#include "region.h"
#include "s3_store.h"
#include "sns_signer.h"

/* The whole simulated AWS. Everything but the regions' contents is fixed once the server runs. */
struct sim {
    struct sim_options options;
    char host[64]; /* host:port as clients reach it; in queue URLs and certificate URLs */
    struct sim_region *regions;
    size_t n_regions;
    struct sim_creds creds;
    struct sim_s3 s3;
    struct sim_sns_signer signer;
    struct sim_park park;
    struct sim_import_worker *imports;
};

#define SIM_ACCOUNT "000000000000"

struct sim_region *sim_find_region(struct sim *s, const char *name); /* NULL: not simulated */

#endif
