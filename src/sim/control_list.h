#ifndef SIM_CONTROL_LIST_H
#define SIM_CONTROL_LIST_H

struct sim_request;

void sim_control_get_list(struct sim_request *r);
void sim_control_put_list(struct sim_request *r);
void sim_control_delete_list(struct sim_request *r);
void sim_control_post_events(struct sim_request *r);
void sim_control_get_queues(struct sim_request *r);

#endif
