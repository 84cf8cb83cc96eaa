/* fixture.h - what the tests of consensus share: a directory of their own, and a state machine that counts.
 *
 * The machine's commands carry a number n; applying one adds 1 to the counter of n, so a command that is applied twice shows. Type REJECT is refused by a
 * precondition. */
#ifndef CAIRN_TESTS_REPLICATION_FIXTURE_H
#define CAIRN_TESTS_REPLICATION_FIXTURE_H

#include "replication/consensus.h"
#include "replication/keys.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { COUNT = COMMAND_TYPE_NAMESPACE, REJECT = COMMAND_TYPE_NAMESPACE + 1 };

static inline int fixture_remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline void directory_remove(const char *path)
{
	nftw(path, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *directory_make(void)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;
	assert_true(asprintf(&path, "%s/cairn-test-XXXXXX", base ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(path));
	return path;
}

static inline void counter_key(struct key *key, uint64_t number)
{
	key_begin(key, GROUP_REPOS, 0, 'x');
	key_add_number(key, number, 8);
}

static inline int counter_apply(void *context, const struct apply_context *apply, struct span bytes, struct buffer *result, struct why *why)
{
	(void)context;
	struct command command;
	if (command_decode(&command, bytes) != 0)
		return ERR_CORRUPT;
	if (command.type == REJECT)
		return why_set(why, ERR_CONFLICT, "the precondition does not hold");
	if (command.type != COUNT || command.version != 1)
		return why_set(why, ERR_UNSUPPORTED, "version %u of command type %u is not known", command.version, command.type);
	struct cursor body = cursor_of(command.body);
	struct key key;
	counter_key(&key, cursor_u64(&body));
	struct span value;
	int err = state_batch_get(apply->batch, key_span(&key), &value, why);
	uint64_t count = err == 0 && value.length == sizeof(count) ? get_big_endian(value.data, 8) + 1 : 1;
	uint8_t encoded[8];
	put_big_endian(encoded, count, 8);
	state_batch_put(apply->batch, key_span(&key), span_of(encoded, sizeof(encoded)));
	pack_u64(result, count);
	return 0;
}

static const struct state_machine counter_machine = { .apply = counter_apply };

/* 0: never counted. */
static inline uint64_t counter_get(struct consensus *consensus, uint64_t number)
{
	struct key key;
	counter_key(&key, number);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	size_t length = 0;
	char *error = NULL;
	char *value = rocksdb_get(consensus_db(consensus), options, (const char *)key.bytes, key.length, &length, &error);
	rocksdb_readoptions_destroy(options);
	uint64_t count = value ? get_big_endian((uint8_t *)value, 8) : 0;
	rocksdb_free(value);
	return count;
}

static inline int propose(struct consensus *consensus, uint16_t type, uint8_t version, const struct command_id *id, uint64_t number,
	struct proposal_result *out, struct why *why)
{
	struct buffer body, bytes;
	buffer_init(&body, 64);
	buffer_init(&bytes, 4096);
	pack_u64(&body, number);
	struct command command = { .type = type, .version = version, .body = buffer_span(&body) };
	if (id)
		command.id = *id;
	else
		command_id_make(&command.id);
	command_encode(&bytes, &command);
	struct proposal_result unused;
	int err = consensus_propose(consensus, GROUP_REPOS, &command.id, buffer_span(&bytes), 60000, out ? out : &unused, why);
	if (!out)
		buffer_fini(&unused.result);
	buffer_fini(&body);
	buffer_fini(&bytes);
	return err;
}

static inline struct consensus *open_counter(const char *dir)
{
	struct consensus_config config = { .dir = dir, .machine = &counter_machine, .reserve_bytes = 1 };
	struct consensus *consensus = NULL;
	struct why why = { 0 };
	if (consensus_open(&consensus, &config, &why) != 0)
		fail_msg("cannot open: %s", why.text);
	return consensus;
}

#endif
