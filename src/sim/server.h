#ifndef SIM_SERVER_H
#define SIM_SERVER_H

struct sim;
struct MHD_Daemon;

/* Listens as s->options say and fills s->host. NULL after a message on stderr. */
struct MHD_Daemon *sim_server_start(struct sim *s);
void sim_server_stop(struct MHD_Daemon *d);

#endif
