#ifndef SUP_CODEC_MESH_REFUSAL_H
#define SUP_CODEC_MESH_REFUSAL_H

/* Why a session is not begun, or ends; part of codec/mesh_msg.h. */

#define SUP_MESH_REASON_MAX 256 /* longer ones are cut */

/* Codes of REFUSE and BYE. Sent: never renumber. */
enum sup_refusal {
    SUP_REFUSED_OTHER = 0,
    SUP_REFUSED_CLUSTER = 1,  /* other cluster */
    SUP_REFUSED_VERSION = 2,  /* no common protocol version */
    SUP_REFUSED_DRIFT = 3,    /* max_clock_drift differs */
    SUP_REFUSED_KEY = 4,      /* the address hash key differs */
    SUP_REFUSED_NAME = 5,     /* not the node that was dialled, or not a configured peer */
    SUP_REFUSED_SELF = 6,     /* a node that reached itself, or a copy of its store */
    SUP_REFUSED_PROTOCOL = 7, /* a frame or message that makes no sense */
    SUP_REFUSED_STOPPING = 8, /* BYE: shutting down */
    SUP_REFUSED_IDENTITY = 9  /* the certificate was not verified */
};
const char *sup_refusal_name(unsigned code); /* "cluster" …, "other" */

struct sup_goodbye { /* REFUSE and BYE */
    unsigned code;
    char reason[SUP_MESH_REASON_MAX + 1];
};

#endif
