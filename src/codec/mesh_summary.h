#ifndef SUP_CODEC_MESH_SUMMARY_H
#define SUP_CODEC_MESH_SUMMARY_H

#include "codec/report.h"

#include <stdbool.h>
#include <stdint.h>

/* SUMMARY: how a node's Region is, for reports over all of them (proto/mesh.proto). */

#define SUP_SUMMARY_PROBLEMS_MAX 8 /* more are left out */
#define SUP_SUMMARY_TEXT_MAX     159

struct sup_summary {
    uint64_t id; /* of the SUMMARY_ASK */
    char region[64];
    char mode[16];
    bool healthy;
    bool converged;
    uint64_t pending;
    uint64_t failing;
    bool has_report;
    struct sup_report report; /* the last run's */
    size_t n_problems;
    char problems[SUP_SUMMARY_PROBLEMS_MAX][SUP_SUMMARY_TEXT_MAX + 1];
};

#endif
