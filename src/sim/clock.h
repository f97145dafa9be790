#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t sim_mono_ms(void);
int64_t sim_wall_ms(void);

#define SIM_TIME_LEN 32
/* 2017-08-05T00:41:02.669Z */
void sim_time_iso(char out[SIM_TIME_LEN], int64_t wall_ms);
/* 20170805T004102Z */
void sim_time_basic(char out[SIM_TIME_LEN], int64_t wall_ms);
/* Sat, 05 Aug 2017 00:41:02 GMT */
void sim_time_http(char out[SIM_TIME_LEN], int64_t wall_ms);
bool sim_time_parse_basic(const char *s, int64_t *wall_ms);
/* ISO 8601 with optional fraction and Z or offset, or epoch seconds with optional fraction. */
bool sim_time_parse(const char *s, int64_t *wall_ms);

/* A fixed series from the seed: the same seed and order of calls give the same ids. Any thread. */
void sim_random_seed(uint64_t seed);
uint64_t sim_random(void);
/* 8-4-4-4-12 lower-case hex. */
#define SIM_UUID_LEN 37
void sim_uuid(char out[SIM_UUID_LEN]);

#endif
