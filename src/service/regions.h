#ifndef SUP_SERVICE_REGIONS_H
#define SUP_SERVICE_REGIONS_H

#include "codec/mesh_summary.h"
#include "service/service.h"

/* Every Region of the mesh: this node's own and, asked over the mesh, what its peers say of theirs.
 */

struct sup_region_view {
    const char *node; /* lives as long as the service */
    char region[64];  /* as the node says, else by its name */
    bool known;       /* it answered; else summary is its last word, if there was one */
    bool connected;
    int64_t heard_ms; /* when summary was right; SUP_NO_TIME = never heard of */
    struct sup_summary summary;
    char error[160]; /* why it is unknown */
};

/* Fills out[0] with this node and the others in the order of the configuration; returns how many,
 * at most max. Waits for answers, at most wait_ms. Any thread; NULL for out is not fine. */
size_t sup_service_regions(struct sup_service *s, int64_t wait_ms, struct sup_region_view *out,
                           size_t max);

#endif
