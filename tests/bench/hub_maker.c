/* hub_maker - makes a hub of many repositories in no time: names through the state machine, the index as if their files had been read. They have no
 * content. For tests and measurements of lists and search.
 *
 *   hub_maker DIR COUNT [LIKES [WEBHOOKS]]
 *
 * DIR must hold nothing; cairnd is then started on it. Likes are of users fan-0, fan-1, ...: of the first repository first, then of the next. A webhook
 * watches one owner each; it is switched off, so that nobody is called. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "gateway/process.h"
#include "gateway/search/base.h"
#include "gateway/search/document.h"
#include "replication/changes.h"
#include "replication/day_counts.h"
#include "replication/likes.h"
#include "replication/webhook.h"

enum { THREADS = 128, OWNERS = 997, LIKES_MAX = 5000, FANS_MAX = 1000, WEBHOOKS_PER_FAN = 20 };

static struct namespace *ns;
static uint32_t count, likes, webhooks;
static struct entity_id *ids;
static atomic_uint next;

static void fail(const char *what, const struct why *why)
{
	fprintf(stderr, "hub_maker: %s: %s\n", what, why->text);
	exit(1);
}

static void name_of(uint32_t number, char owner[NAME_BYTES_MAX + 1], char name[NAME_BYTES_MAX + 1])
{
	static const char *const words[] = { "granite", "basalt", "gneiss", "marble", "slate", "chalk", "flint", "quartz", "bert", "llama", "gpt", "diffusion" };
	snprintf(owner, NAME_BYTES_MAX + 1, "owner-%u", number % OWNERS);
	snprintf(name, NAME_BYTES_MAX + 1, "%s-%s-%u", words[number % 12], words[number / 12 % 12], number);
}

static void *make_repos(void *context)
{
	(void)context;
	for (uint32_t number; (number = atomic_fetch_add(&next, 1)) < count;) {
		struct repo repo = { .type = REPO_MODEL, .private = number % 50 == 49 };
		struct why why = { 0 };
		name_of(number, repo.owner, repo.name);
		if (repo_create(ns, repo.owner, &repo, &ids[number], &why) != 0)
			fail("cannot make a repository", &why);
	}
	return NULL;
}

/* Each likes twenty repositories or more. */
static uint32_t fans_count(void)
{
	uint32_t fans = likes / 20 < FANS_MAX ? likes / 20 : FANS_MAX;
	return fans ? fans : 1;
}

static void *make_fans(void *context)
{
	(void)context;
	for (uint32_t number; (number = atomic_fetch_add(&next, 1)) < fans_count();) {
		struct user user = { 0 };
		struct why why = { 0 };
		snprintf(user.name, sizeof(user.name), "fan-%u", number);
		snprintf(user.email, sizeof(user.email), "fan-%u@example.org", number);
		if (user_create(ns, "hub_maker", &user, &why) != 0)
			fail("cannot make a user", &why);
	}
	return NULL;
}

static void *make_likes(void *context)
{
	(void)context;
	char fan[NAME_BYTES_MAX + 1];
	for (uint32_t number; (number = atomic_fetch_add(&next, 1)) < likes;) {
		struct why why = { 0 };
		snprintf(fan, sizeof(fan), "fan-%u", number % fans_count());
		if (repo_like(ns, fan, &ids[number / fans_count() % count], &why) != 0)
			fail("cannot like", &why);
	}
	return NULL;
}

static void *make_webhooks(void *context)
{
	(void)context;
	for (uint32_t number; (number = atomic_fetch_add(&next, 1)) < webhooks;) {
		struct webhook *hook = calloc(1, sizeof(*hook));
		struct why why = { 0 };
		if (!hook)
			exit(1);
		*hook = (struct webhook){ .domains = WEBHOOK_REPO, .disabled = true, .watched_count = 1, .watched = { { .kind = WATCHED_USER } } };
		snprintf(hook->owner, sizeof(hook->owner), "fan-%u", number / WEBHOOKS_PER_FAN % fans_count());
		snprintf(hook->watched[0].name, sizeof(hook->watched[0].name), "owner-%u", number % OWNERS);
		snprintf(hook->url, sizeof(hook->url), "https://example.org/%u", number);
		if (webhook_put(ns, hook->owner, hook, &why) != 0)
			fail("cannot make a webhook", &why);
		free(hook);
	}
	return NULL;
}

static void in_threads(void *(*make)(void *context))
{
	pthread_t threads[THREADS];
	atomic_store(&next, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, make, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* A number that looks random and is the same in each run. */
static uint64_t mix(uint64_t number)
{
	number = (number ^ number >> 31) * UINT64_C(0x7fb5d329728ea185);
	number = (number ^ number >> 27) * UINT64_C(0x81dadef4bc2dd44d);
	return number ^ number >> 33;
}

static void facts_of(uint32_t number, struct facts *facts, uint64_t *parameters)
{
	static const char *const libraries[] = { "transformers", "diffusers", "sentence-transformers", "timm", "peft" };
	static const char *const tasks[] = { "text-generation", "fill-mask", "text-to-image", "image-classification", "text-classification", "translation" };
	static const char *const licenses[] = { "mit", "apache-2.0", "other", "cc-by-4.0" };
	static const char *const languages[] = { "en", "en", "en", "de", "fr", "zh" };
	uint64_t random = mix(number);
	char text[1024];
	*parameters = random % 4 ? (UINT64_C(1) << (random >> 8) % 37) + (random >> 20) % 1000 : 0;
	snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"safetensors\",\"%s\",\"%s\",\"license:%s\",\"base_model:owner-%u/base-%u\",\"rare-%u\",\"region:us\"]",
		libraries[random % 5], random & 64 ? "pytorch" : "tf", tasks[(random >> 10) % 6], languages[(random >> 16) % 6], licenses[(random >> 24) % 4],
		(unsigned)(random >> 32) % OWNERS, (unsigned)(random >> 40) % 1000, number / 20);
	facts->json[FACT_TAGS] = strdup(text);
	snprintf(text, sizeof(text), "\"%s\"", tasks[(random >> 10) % 6]);
	facts->json[FACT_PIPELINE_TAG] = strdup(text);
	snprintf(text, sizeof(text), "\"%s\"", libraries[random % 5]);
	facts->json[FACT_LIBRARY_NAME] = strdup(text);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)*parameters);
	if (*parameters)
		facts->json[FACT_PARAMETERS] = strdup(text);
	facts->json[FACT_CARD_DATA] = strdup("{\"license\":\"mit\"}");
	buffer_init(&facts->text, 1 << 20);
	for (unsigned i = 0; i < 60; i++)
		buffer_printf(&facts->text, "word%u ", (unsigned)(mix(number * 64 + i) % (i < 30 ? 500 : 20000)));
}

static void index_one(struct search_writer *writer, uint32_t number, int64_t now_ms)
{
	struct repo repo;
	struct indexed before;
	struct facts facts = { 0 };
	struct term_list terms;
	uint64_t parameters, random = mix(number ^ 0x5555);
	if (repo_get(ns, NULL, &ids[number], &repo) != 0)
		exit(1);
	struct doc doc = { .repo = repo.id, .type = repo.type, .private = repo.private };
	memcpy(doc.owner, repo.owner, sizeof(doc.owner));
	memcpy(doc.name, repo.name, sizeof(doc.name));
	facts_of(number, &facts, &parameters);
	struct doc_values values = { .by = { [SORT_MODIFIED] = (uint64_t)now_ms - random % 100000000000, [SORT_CREATED] = (uint64_t)repo.created_ms,
		[SORT_DOWNLOADS] = random % 1000000 / (1 + (random >> 32) % 1000), [SORT_LIKES] = (random >> 8) % LIKES_MAX / (1 + (random >> 40) % 500),
		[SORT_TREND] = random >> 36, [SORT_PARAMETERS] = parameters } };
	values.by[SORT_LIKES_RECENT] = values.by[SORT_LIKES] / 10;
	values.downloads_all = values.by[SORT_DOWNLOADS] * 10;
	if (term_list_init(&terms) != 0 || document_terms(&terms, &doc, &facts) != 0 || search_writer_find(writer, &doc.repo, &before) != 0 ||
		search_writer_put(writer, &before, &doc, &values, &facts, &terms) != 0 || (search_writer_is_full(writer) && search_writer_end(writer) != 0))
		exit(1);
	term_list_fini(&terms);
	facts_fini(&facts);
}

static void make_index(const char *dir)
{
	struct search_base *base;
	struct search_writer *writer;
	struct why why = { 0 };
	uint64_t cluster, repos;
	char path[4096];
	int64_t now_ms = unix_ms();
	snprintf(path, sizeof(path), "%s/search", dir);
	mkdir(path, 0700);
	if (search_base_open(&base, path, 1, &why) != 0 || search_writer_open(&writer, &base->db) != 0)
		fail("cannot make the index", &why);
	for (uint32_t number = 0; number < count; number++)
		index_one(writer, number, now_ms);
	if (changes_last(ns, GROUP_CLUSTER, &cluster) != 0 || changes_last(ns, GROUP_REPOS, &repos) != 0)
		exit(1);
	search_writer_meta(writer, "cluster", cluster);
	search_writer_meta(writer, "repos", repos);
	search_writer_meta(writer, "day", day_of_ms(now_ms));
	search_writer_meta(writer, "complete", 1);
	if (search_writer_end(writer) != 0)
		exit(1);
	search_writer_close(writer);
	search_base_release(base);
}

int main(int argc, char **argv)
{
	char path[4096];
	struct why why = { 0 };
	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: hub_maker DIR COUNT [LIKES [WEBHOOKS]]\n");
		return 64;
	}
	count = (uint32_t)strtoul(argv[2], NULL, 10);
	likes = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	webhooks = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
	ids = calloc(count + 1, sizeof(*ids));
	snprintf(path, sizeof(path), "%s/meta", argv[1]);
	mkdir(path, 0700);
	if (!ids || namespace_open(&ns, path, &why) != 0)
		fail("cannot open the names", &why);
	in_threads(make_repos);
	in_threads(make_fans);
	in_threads(make_likes);
	in_threads(make_webhooks);
	make_index(argv[1]);
	namespace_close(ns);
	return 0;
}
