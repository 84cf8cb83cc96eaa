/* cluster_commits - one node of a cluster that holds names and nothing else, told by lines on its standard input what to do.
 *
 * Usage: cluster_commits DIR HOST:PORT [JOIN-TOKEN]
 *   token             prints a join token for a voter
 *   state             prints "leader" when this node leads both groups and has as many voters as it knows nodes, else "follower"
 *   run N SECONDS     N threads make tokens of users, each waiting until its own is committed and applied here; prints
 *                     {"in_flight", "per_s", "p50_us", "p99_us", "per_sync"}
 * A command has about 200 bytes beside its names; applying it checks that the user exists and that its id is new, and writes the token, an index and a change.
 * Ends with its input. */
#include "replication/cluster_node.h"
#include "replication/namespace.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 256, SAMPLES_MAX = 1 << 18, LINE_BYTES_MAX = 256 };

static struct namespace *ns;
static atomic_bool stop;
static atomic_uint count;
static uint32_t samples_us[SAMPLES_MAX];
static char user_name[] = "a-user-with-a-name-of-the-usual-length";

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what, int err, const struct why *why)
{
	fprintf(stderr, "cluster_commits: %s: %s: %s\n", what, err_name(err), why->text);
	exit(1);
}

static void *work(void *context)
{
	(void)context;
	while (!atomic_load(&stop)) {
		struct token token = { .role = TOKEN_WRITE, .name = "a token whose name makes the record of it about as long as two hundred bytes" };
		struct why why = { 0 };
		char text[TOKEN_TEXT_BYTES_MAX];
		memcpy(token.user, user_name, sizeof(user_name));
		double start = now_s();
		int err = token_create(ns, "admin", &token, text, &why);
		if (err)
			fail("a token", err, &why);
		samples_us[atomic_fetch_add(&count, 1) % SAMPLES_MAX] = (uint32_t)((now_s() - start) * 1e6);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

static void run(unsigned in_flight, double seconds)
{
	pthread_t threads[THREADS_MAX];
	struct consensus_status before, after;
	atomic_store(&stop, false);
	atomic_store(&count, 0);
	consensus_status(namespace_consensus(ns), &before);
	double start = now_s();
	for (unsigned i = 0; i < in_flight; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) }, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < in_flight; i++)
		pthread_join(threads[i], NULL);
	double elapsed = now_s() - start;
	consensus_status(namespace_consensus(ns), &after);
	unsigned done = atomic_load(&count), samples = done < SAMPLES_MAX ? done : SAMPLES_MAX;
	uint64_t syncs = after.log_syncs - before.log_syncs;
	qsort(samples_us, samples, sizeof(samples_us[0]), compare);
	printf("{\"in_flight\": %u, \"per_s\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"per_sync\": %.1f}\n", in_flight, done / elapsed,
		samples ? samples_us[samples / 2] : 0, samples ? samples_us[samples * 99 / 100] : 0, syncs ? (double)done / (double)syncs : 0.0);
}

static void make_user(void)
{
	struct user user = { .admin = true };
	struct why why = { 0 };
	memcpy(user.name, user_name, sizeof(user_name));
	snprintf(user.email, sizeof(user.email), "somebody@example.org");
	int err = user_create(ns, "admin", &user, &why);
	if (err && err != ERR_EXISTS)
		fail("a user", err, &why);
}

static const char *state(void)
{
	static struct cluster_status status;
	struct why why = { 0 };
	int err = consensus_cluster_status(namespace_consensus(ns), &status, &why);
	if (err)
		fail("the state", err, &why);
	for (size_t i = 0; i < status.count; i++)
		if (status.nodes[i].roles[0] != NODE_VOTER || status.nodes[i].roles[1] != NODE_VOTER)
			return "follower";
	return status.groups[0].leader == status.node_id ? "leader" : "follower";
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: cluster_commits DIR HOST:PORT [JOIN-TOKEN]\n");
		return 2;
	}
	struct why why = { 0 };
	char line[LINE_BYTES_MAX], token[JOIN_TOKEN_TEXT_BYTES_MAX];
	unsigned in_flight;
	double seconds;
	struct cluster_config cluster = { .listen = argv[2], .name = argv[1], .join_token = argc > 3 ? argv[3] : NULL };
	int err = sodium_init() < 0 ? ERR_IO : namespace_open_cluster(&ns, argv[1], &cluster, &why);
	if (err)
		fail("start", err, &why);
	make_user();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "token\n") == 0) {
			err = join_token_create(ns, "admin", NODE_VOTER, token, &why);
			if (err)
				fail("token", err, &why);
			puts(token);
		} else if (strcmp(line, "state\n") == 0) {
			puts(state());
		} else if (sscanf(line, "run %u %lf", &in_flight, &seconds) == 2 && in_flight > 0 && in_flight <= THREADS_MAX) {
			run(in_flight, seconds);
		} else {
			puts("?");
		}
		fflush(stdout);
	}
	namespace_close(ns);
	return 0;
}
