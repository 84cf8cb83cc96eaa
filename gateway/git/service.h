/* service.h - what serving git keeps in this process: places for processes, answers that may be given again, the pushes under way, and the
 * thread that makes bundles. */
#ifndef CAIRN_GATEWAY_GIT_SERVICE_H
#define CAIRN_GATEWAY_GIT_SERVICE_H

#include "gateway/gateway.h"

struct git_service {
	struct gate *gate;               /* gate.h */
	struct stored_answers *answers;  /* stored_answer.h */
	struct pushes *pushes;           /* pushes.h */
	struct bundler *bundler;         /* bundler.h */
};

struct git_service_config {
	unsigned processes_max;          /* gits at once; 0: GATE_PER_CORE for each processor, within bounds */
	unsigned workers;                /* threads of the server */
};

/* After the cache of repositories. */
int git_service_open(struct git_service **out, struct gateway *gateway, const struct git_service_config *config, struct why *why);
/* [blocks] Ends what runs. */
void git_service_close(struct git_service *service);

#endif
