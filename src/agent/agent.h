#ifndef SUP_AGENT_AGENT_H
#define SUP_AGENT_AGENT_H

/* Runs the agent in the foreground until SIGTERM or SIGINT. SIGHUP reloads log settings and the
 * token file. Tells systemd about its state through NOTIFY_SOCKET. Returns the exit status: 0 clean
 * stop, 2 bad configuration, 1 other trouble. To be called on the main thread, before other threads
 * exist: it blocks signals for all of them. */
int sup_agent_run(const char *config_path);

#endif
