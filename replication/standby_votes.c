#include "replication/standby_votes.h"

static bool is_standby(const struct standby_votes *votes)
{
	struct server servers[SERVERS_MAX];
	size_t count = engine_servers(votes->engine, servers);
	for (size_t i = 0; i < count; i++)
		if (servers[i].id == votes->self)
			return servers[i].role == SERVER_STANDBY;
	return false;
}

static bool hears_a_leader(const struct standby_votes *votes, const struct standby_log *log)
{
	return engine_leader(votes->engine) != 0 && votes->rio->now_ms(votes->rio->context) - log->contact_ms < ENGINE_ELECTION_MS;
}

static bool may_vote(const struct standby_votes *votes, const struct message *request, const struct standby_log *log)
{
	uint64_t term = engine_term(votes->engine);
	if ((votes->rio->rules_off & RULE_STANDBY_VOTES) || !is_standby(votes))
		return false;
	if (request->vote.last_term != log->last_term ? request->vote.last_term < log->last_term : request->vote.last_index < log->last_index)
		return false;
	if (hears_a_leader(votes, log) && !request->vote.disrupt_leader)
		return false;
	return request->term > term || (request->term == term && !request->vote.pre_vote && engine_voted_for(votes->engine) == 0 &&
		(votes->voted.term != term || votes->voted.id == request->peer));
}

bool standby_would_vote(struct standby_votes *votes, const struct message *request, const struct standby_log *log)
{
	votes->candidate = may_vote(votes, request, log) ? request : NULL;
	return votes->candidate != NULL;
}

void standby_vote(struct standby_votes *votes, struct message *refusal)
{
	const struct message *request = votes->candidate;
	uint64_t term = engine_term(votes->engine);
	if (!request || refusal->peer != request->peer || refusal->vote_result.pre_vote != request->vote.pre_vote)
		return;
	if (!request->vote.pre_vote) {
		if (term != request->term)
			return;
		votes->voted.term = term;
		votes->voted.id = request->peer;
		votes->rio->hard_put(votes->rio->context, votes->group, term, request->peer);
	}
	refusal->vote_result.granted = true;
	refusal->term = request->term;
}

void standby_decided(struct standby_votes *votes)
{
	votes->candidate = NULL;
}

bool standby_has_voted_for_another(const struct standby_votes *votes, const struct message *request)
{
	return !request->vote.pre_vote && request->term == votes->voted.term && request->peer != votes->voted.id;
}
