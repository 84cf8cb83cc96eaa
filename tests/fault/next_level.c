/* next_level.c - makes of cairnd a program of the next feature level (CAIRN_FEATURE_LEVEL of replication/applier.h), which raises that of its cluster when
 * it is told to.
 *
 * $RAISE_LEVEL names a file. Once it is there, the command that raises the level is proposed to each group, again and again until it is applied; then the
 * file goes. */
#include "replication/applier.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 50, PROPOSE_MS_MAX = 5 * 1000 };

int __real_consensus_open(struct consensus **out, const struct consensus_config *config, struct why *why);
int __wrap_consensus_open(struct consensus **out, const struct consensus_config *config, struct why *why);

static int raise_level(struct consensus *consensus, uint32_t group)
{
	struct buffer body, bytes;
	buffer_init(&body, 16);
	buffer_init(&bytes, 256);
	pack_u64(&body, FEATURE_LEVEL_KNOWN);
	struct command command = { .type = COMMAND_FEATURE_LEVEL, .version = 1, .body = buffer_span(&body) };
	command_id_make(&command.id);
	struct proposal_result result = { 0 };
	int err = command_encode(&bytes, &command);
	if (err == 0)
		err = consensus_propose(consensus, group, &command.id, buffer_span(&bytes), PROPOSE_MS_MAX, &result, NULL);
	if (err == 0)
		buffer_fini(&result.result);
	buffer_fini(&body);
	buffer_fini(&bytes);
	return err;
}

static void *watch(void *consensus)
{
	const char *path = getenv("RAISE_LEVEL");
	for (;; usleep(LOOK_EVERY_MS * 1000))
		if (access(path, F_OK) == 0 && raise_level(consensus, GROUP_CLUSTER) == 0 && raise_level(consensus, GROUP_REPOS) == 0)
			unlink(path);
	return NULL;
}

int __wrap_consensus_open(struct consensus **out, const struct consensus_config *config, struct why *why)
{
	pthread_t thread;
	int err = __real_consensus_open(out, config, why);
	if (err == 0 && getenv("RAISE_LEVEL") && pthread_create(&thread, NULL, watch, *out) == 0)
		pthread_detach(thread);
	return err;
}
