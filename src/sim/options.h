#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_REGIONS_MAX 32

struct sim_options {
    char *address; /* of --listen, numeric */
    uint16_t port; /* 0: any free one */
    char *regions[SIM_REGIONS_MAX];
    unsigned n_regions;
    double rps; /* per Region and SES operation; 0: no limit */
    bool verify_signatures;
    bool seed_given;
    uint64_t seed;
    unsigned threads;
    unsigned visibility_timeout_s; /* of ses-events */
    int64_t list_lag_ms;
    int64_t import_delay_ms;
    int64_t token_ttl_ms;   /* of NextToken */
    int64_t sts_lifetime_s; /* 0: as the caller asks */
    char *access_key;       /* an extra pair that is accepted; NULL: none */
    char *secret_key;
    int sns_signature; /* SignatureVersion 1 or 2; 0: unsigned, for load */
};

/* 0, or an exit code after a message on stderr (--help: -1 after the text on stdout). */
int sim_options_parse(struct sim_options *o, int argc, char **argv);
void sim_options_fini(struct sim_options *o);

#endif
