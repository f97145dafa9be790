#ifndef SUP_AGENT_NOTIFY_H
#define SUP_AGENT_NOTIFY_H

/* Tells the service manager about our state, as sd_notify(3) describes the protocol: one datagram
 * of NAME=VALUE lines to the socket that NOTIFY_SOCKET names. Without one it does nothing; errors
 * are not worth stopping for and are ignored. Any thread. */
void sup_notify(const char *state);

#endif
