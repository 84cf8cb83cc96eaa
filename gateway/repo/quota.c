#include "gateway/repo/quota.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "gateway/process.h"
#include "replication/quota.h"

enum { MEASURED_MAX = 256, BYTES_TEXT_MAX = 32 }; /* owners remembered; a power of two */

struct measured {
	const struct gateway *gateway;
	char owner[NAME_BYTES_MAX + 1];
	int64_t when_ms;
	uint64_t used; /* then, and what was stored since */
};

static struct {
	pthread_mutex_t mutex;
	struct measured measured[MEASURED_MAX];
	struct quota_reservation *reservations;
} quotas = { .mutex = PTHREAD_MUTEX_INITIALIZER };

struct sum {
	struct store *store;
	uint64_t bytes;
};

static int add_repo(void *context, const struct repo *repo)
{
	struct sum *sum = context;
	uint64_t files, bytes = 0;
	int err = store_owner_usage(sum->store, &repo->id, &files, &bytes);
	sum->bytes += bytes;
	return err == ERR_NOT_FOUND ? 0 : err;
}

int quota_used(struct gateway *gateway, const char *owner, uint64_t *bytes)
{
	struct sum sum = { .store = gateway->store };
	int err = repo_list(gateway->ns, 0, owner, NULL, add_repo, &sum);
	*bytes = sum.bytes;
	return err;
}

/* ---- under the mutex ---- */

static struct measured *slot_of(const char *owner)
{
	uint32_t hash = 2166136261u;
	for (const char *p = owner; *p; p++)
		hash = (hash ^ (uint32_t)tolower((unsigned char)*p)) * 16777619u;
	return &quotas.measured[hash % MEASURED_MAX];
}

static bool is_of(const struct measured *measured, const struct gateway *gateway, const char *owner)
{
	return measured->gateway == gateway && strcasecmp(measured->owner, owner) == 0;
}

static uint64_t under_way(const struct gateway *gateway, const char *owner)
{
	uint64_t bytes = 0;
	for (const struct quota_reservation *r = quotas.reservations; r; r = r->next)
		if (r->gateway == gateway && strcasecmp(r->owner, owner) == 0)
			bytes += r->bytes;
	return bytes;
}

static void hold(struct quota_reservation *out, struct gateway *gateway, const char *owner, uint64_t bytes)
{
	*out = (struct quota_reservation){ .next = quotas.reservations, .gateway = gateway, .bytes = bytes, .held = true };
	snprintf(out->owner, sizeof(out->owner), "%s", owner);
	if (out->next)
		out->next->previous = out;
	quotas.reservations = out;
}

/* ---- the question ---- */

static const char *bytes_text(char out[BYTES_TEXT_MAX], uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, BYTES_TEXT_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

bool quota_is_proposal(struct gateway *gateway, const struct repo *repo, const struct actor *actor)
{
	struct resource resource = { .repo = repo, .ns = gateway->ns };
	return may(actor, ACTION_WRITE, &resource) != 0;
}

static uint64_t kept_of(uint64_t limit)
{
	return limit / QUOTA_KEPT_PART + (limit % QUOTA_KEPT_PART != 0);
}

static int refuse(const char *owner, uint64_t limit, uint64_t kept, uint64_t used, uint64_t more, struct why *why)
{
	char limit_text[BYTES_TEXT_MAX], kept_text[BYTES_TEXT_MAX], used_text[BYTES_TEXT_MAX], more_text[BYTES_TEXT_MAX];
	if (kept)
		return why_set(why, ERR_NO_SPACE, "The storage quota of %s is %s, of which %s are kept for those who may write to the repository: %s are used or on "
			"their way, and this needs %s more. Ask them to make room", owner, bytes_text(limit_text, limit), bytes_text(kept_text, kept),
			bytes_text(used_text, used), bytes_text(more_text, more));
	return why_set(why, ERR_NO_SPACE, "The storage quota of %s is %s: %s are used or on their way, and this needs %s more. Delete what is not needed, or ask the operator of the hub for more", owner,
		bytes_text(limit_text, limit), bytes_text(used_text, used), bytes_text(more_text, more));
}

/* Makes sure that a fresh sum is remembered. The reading happens without the mutex: two may read at once, which costs time only. */
static int measure(struct gateway *gateway, const char *owner, uint64_t *used)
{
	int64_t now = unix_ms();
	pthread_mutex_lock(&quotas.mutex);
	struct measured *measured = slot_of(owner);
	bool fresh = is_of(measured, gateway, owner) && now - measured->when_ms < QUOTA_STALE_MS && now >= measured->when_ms;
	*used = measured->used;
	pthread_mutex_unlock(&quotas.mutex);
	if (fresh)
		return 0;
	int err = quota_used(gateway, owner, used);
	if (err)
		return err;
	pthread_mutex_lock(&quotas.mutex);
	*measured = (struct measured){ .gateway = gateway, .when_ms = now, .used = *used };
	snprintf(measured->owner, sizeof(measured->owner), "%s", owner);
	pthread_mutex_unlock(&quotas.mutex);
	return 0;
}

static int ask(struct gateway *gateway, const struct repo *repo, const struct actor *actor, uint64_t more, struct quota_reservation *reservation,
	struct why *why)
{
	uint64_t limit, used = 0;
	int err = quota_get(gateway->ns, repo->owner, &limit);
	if (err == 0 && limit == QUOTA_NONE)
		return 0;
	if (err == 0)
		err = measure(gateway, repo->owner, &used);
	if (err)
		return why_set(why, err, "The storage quota of %s cannot be read", repo->owner);
	uint64_t kept = quota_is_proposal(gateway, repo, actor) ? kept_of(limit) : 0, allowed = limit - kept;
	pthread_mutex_lock(&quotas.mutex);
	struct measured *measured = slot_of(repo->owner);
	if (is_of(measured, gateway, repo->owner))
		used = measured->used; /* others may have added to it */
	used += under_way(gateway, repo->owner);
	bool fits = more == 0 || (used <= allowed && more <= allowed - used);
	if (fits && reservation)
		hold(reservation, gateway, repo->owner, more);
	pthread_mutex_unlock(&quotas.mutex);
	return fits ? 0 : refuse(repo->owner, limit, kept, used, more, why);
}

bool quota_applies(struct gateway *gateway, const struct repo *repo)
{
	uint64_t limit;
	return quota_get(gateway->ns, repo->owner, &limit) != 0 || limit != QUOTA_NONE;
}

int quota_check(struct gateway *gateway, const struct repo *repo, const struct actor *actor, uint64_t more_bytes, struct why *why)
{
	return ask(gateway, repo, actor, more_bytes, NULL, why);
}

int quota_reserve(struct gateway *gateway, const struct repo *repo, const struct actor *actor, uint64_t bytes, struct quota_reservation *out, struct why *why)
{
	*out = (struct quota_reservation){ 0 };
	return ask(gateway, repo, actor, bytes, out, why);
}

void quota_release(struct quota_reservation *reservation, bool stored)
{
	if (!reservation->held)
		return;
	pthread_mutex_lock(&quotas.mutex);
	if (reservation->next)
		reservation->next->previous = reservation->previous;
	if (reservation->previous)
		reservation->previous->next = reservation->next;
	else
		quotas.reservations = reservation->next;
	struct measured *measured = slot_of(reservation->owner);
	if (stored && is_of(measured, reservation->gateway, reservation->owner))
		measured->used += reservation->bytes;
	pthread_mutex_unlock(&quotas.mutex);
	reservation->held = false;
}
