#include "gateway/git/service.h"

#include <stdlib.h>

#include "gateway/git/bundler.h"
#include "gateway/git/gate.h"
#include "gateway/git/pushes.h"
#include "gateway/git/stored_answer.h"

int git_service_open(struct git_service **out, struct gateway *gateway, const struct git_service_config *config, struct why *why)
{
	struct git_service *service = calloc(1, sizeof(*service));
	*out = service;
	if (!service)
		return ERR_NO_MEMORY;
	int err = gate_open(&service->gate, config->processes_max, config->workers);
	if (err == 0)
		err = stored_answers_open(&service->answers, gateway, why);
	if (err == 0)
		err = pushes_open(&service->pushes);
	if (err == 0)
		err = bundler_open(&service->bundler, gateway, why);
	if (err) {
		git_service_close(service);
		*out = NULL;
	}
	return err;
}

void git_service_close(struct git_service *service)
{
	if (!service)
		return;
	bundler_close(service->bundler);
	pushes_close(service->pushes);
	stored_answers_close(service->answers);
	gate_close(service->gate);
	free(service);
}
