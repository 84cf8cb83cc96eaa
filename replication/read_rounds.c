#include "replication/read_rounds.h"

static bool has_answered(const struct read_rounds *rounds, uint64_t id)
{
	for (size_t i = 0; i < rounds->answered_count; i++)
		if (rounds->answered[i] == id)
			return true;
	return id == rounds->self;
}

static bool majority_answered(const struct read_rounds *rounds)
{
	struct server servers[SERVERS_MAX];
	size_t count = engine_servers(rounds->engine, servers), voters = 0, answered = 0;
	for (size_t i = 0; i < count; i++) {
		if (servers[i].role != SERVER_VOTER)
			continue;
		voters++;
		answered += has_answered(rounds, servers[i].id);
	}
	return answered > voters / 2;
}

static void ask_voters(const struct read_rounds *rounds)
{
	struct server servers[SERVERS_MAX];
	size_t count = engine_servers(rounds->engine, servers);
	for (size_t i = 0; i < count; i++) {
		if (servers[i].role != SERVER_VOTER || servers[i].id == rounds->self)
			continue;
		struct message probe = { .type = MESSAGE_PROBE, .peer = servers[i].id, .term = engine_term(rounds->engine) };
		probe.probe.round = rounds->round;
		probe.probe.asker_term = probe.term;
		rounds->rio->send(rounds->rio->context, rounds->group, &probe, NULL);
	}
}

static void finish(struct read_rounds *rounds)
{
	rounds->asking = false;
	rounds->done = rounds->round;
	rounds->done_index = rounds->index;
}

static void begin(struct read_rounds *rounds)
{
	rounds->round++;
	rounds->wanted = false;
	rounds->index = engine_commit(rounds->engine);
	rounds->answered_count = 0;
	rounds->asking = !majority_answered(rounds) && !(rounds->rio->rules_off & RULE_MAJORITY_ROUND);
	if (rounds->asking)
		ask_voters(rounds);
	else
		finish(rounds);
}

uint64_t read_rounds_join(struct read_rounds *rounds)
{
	if (rounds->asking) {
		rounds->wanted = true;
		return rounds->round + 1;
	}
	begin(rounds);
	return rounds->round;
}

int read_rounds_index(const struct read_rounds *rounds, uint64_t round, uint64_t *index)
{
	if (round <= rounds->lost)
		return ERR_CLOSED;
	if (round > rounds->done)
		return ERR_AGAIN;
	*index = rounds->done_index; /* of this round or a later one */
	return 0;
}

static void answer(const struct read_rounds *rounds, const struct message *question)
{
	struct message result = { .type = MESSAGE_PROBE_RESULT, .peer = question->peer, .term = engine_term(rounds->engine) };
	result.probe.round = question->probe.round;
	result.probe.asker_term = question->term;
	rounds->rio->send(rounds->rio->context, rounds->group, &result, NULL);
}

static bool counts(const struct read_rounds *rounds, const struct message *result)
{
	uint64_t term = engine_term(rounds->engine);
	return rounds->asking && result->probe.round == rounds->round && result->probe.asker_term == term && result->term <= term &&
		rounds->answered_count < SERVERS_MAX && !has_answered(rounds, result->peer); /* who is near answers each repetition */
}

void read_rounds_receive(struct read_rounds *rounds, const struct message *message)
{
	if (message->type == MESSAGE_PROBE) {
		answer(rounds, message);
		return;
	}
	if (!counts(rounds, message))
		return;
	rounds->answered[rounds->answered_count++] = message->peer;
	read_rounds_recount(rounds);
}

void read_rounds_recount(struct read_rounds *rounds)
{
	if (!rounds->asking || !majority_answered(rounds))
		return;
	finish(rounds);
	if (rounds->wanted)
		begin(rounds);
}

void read_rounds_repeat(struct read_rounds *rounds)
{
	if (rounds->asking)
		ask_voters(rounds);
}

void read_rounds_lose(struct read_rounds *rounds)
{
	rounds->lost = ++rounds->round; /* the one under way, and the one that was to follow it */
	rounds->asking = rounds->wanted = false;
}
