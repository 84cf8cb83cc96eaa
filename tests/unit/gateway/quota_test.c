/* What an owner may hold: what is stored, what is under way, what was stored a moment ago. And locks of paths, as whoever changes files asks for them. */
#include "gateway/repo/path_lock.h"
#include "gateway/repo/quota.h"
#include "replication/lock.h"
#include "replication/quota.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-quota-XXXXXX";
static struct gateway gateways[8]; /* what is remembered of owners is keyed by the gateway: each test has one of its own */
static size_t next_gateway;
static struct gateway *gateway;
static struct repo repo, other, of_bob;
static struct why why;
static const struct actor ada = { .name = "ada", .role = TOKEN_WRITE }, bob = { .name = "bob", .role = TOKEN_WRITE };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static struct repo make_repo(const char *owner, const char *name)
{
	struct repo wanted = { .type = REPO_MODEL }, made;
	struct entity_id id;
	strcpy(wanted.owner, owner);
	strcpy(wanted.name, name);
	assert_int_equal(repo_create(gateway->ns, owner, &wanted, &id, &why), 0);
	assert_int_equal(repo_get(gateway->ns, NULL, &id, &made), 0);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	char path[128];
	gateway = &gateways[next_gateway++];
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/store", dir);
	struct store_config config = { .dir = path };
	assert_int_equal(store_open(&gateway->store, &config, &why), 0);
	snprintf(path, sizeof(path), "%s/meta", dir);
	assert_int_equal(namespace_open(&gateway->ns, path, &why), 0);
	repo = make_repo("ada", "one");
	other = make_repo("ada", "two");
	of_bob = make_repo("bob", "one");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(gateway->ns);
	store_close(gateway->store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void store_bytes(const struct repo *to, size_t length, int seed)
{
	struct upload *upload;
	struct upload_result result;
	char *bytes = malloc(length);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)((unsigned)seed * 2654435761u + i * i);
	assert_int_equal(upload_open(&upload, gateway->store, &to->id, &why), 0);
	assert_int_equal(upload_file_begin(upload, length), 0);
	assert_int_equal(upload_file_write(upload, bytes, length, &why), 0);
	assert_int_equal(upload_file_end(upload, &result, &why), 0);
	assert_int_equal(upload_commit(upload, &why), 0);
	upload_close(upload);
	free(bytes);
}

static void without_a_quota_everything_fits(void **state)
{
	(void)state;
	struct quota_reservation reservation;
	assert_false(quota_applies(gateway, &repo));
	assert_int_equal(quota_check(gateway, &repo, &ada, UINT64_MAX, &why), 0);
	assert_int_equal(quota_reserve(gateway, &repo, &ada, UINT64_MAX, &reservation, &why), 0);
	assert_false(reservation.held);
	quota_release(&reservation, true);
}

static void all_repositories_of_an_owner_count_and_nobody_elses(void **state)
{
	(void)state;
	uint64_t used;
	store_bytes(&repo, 40000, 1);
	store_bytes(&other, 30000, 2);
	store_bytes(&other, 40000, 1); /* the same bytes again: stored once, held twice */
	store_bytes(&of_bob, 50000, 3);
	assert_int_equal(quota_used(gateway, "ADA", &used), 0);
	assert_int_equal(used, 110000);
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 120000, &why), 0);
	assert_true(quota_applies(gateway, &other));
	assert_int_equal(quota_check(gateway, &repo, &ada, 10000, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &ada, 10001, &why), ERR_NO_SPACE);
	assert_non_null(strstr(why.text, "storage quota of ada"));
	assert_int_equal(quota_check(gateway, &of_bob, &bob, 10001, &why), 0);
	/* An owner over the limit is refused any byte, and no byte is never refused. */
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 5, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &ada, 1, &why), ERR_NO_SPACE);
	assert_int_equal(quota_check(gateway, &repo, &ada, UINT64_MAX, &why), ERR_NO_SPACE);
	assert_int_equal(quota_check(gateway, &repo, &ada, 0, &why), 0);
}

static void what_is_under_way_counts_until_it_ends(void **state)
{
	(void)state;
	struct quota_reservation first, second, third;
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 1000, &why), 0);
	assert_int_equal(quota_reserve(gateway, &repo, &ada, 600, &first, &why), 0);
	assert_int_equal(quota_reserve(gateway, &other, &ada, 300, &second, &why), 0);
	assert_int_equal(quota_reserve(gateway, &repo, &ada, 101, &third, &why), ERR_NO_SPACE);
	assert_false(third.held);
	/* One fails, the other becomes part of what is there: before the index is asked again. */
	quota_release(&first, false);
	quota_release(&second, true);
	quota_release(&second, true); /* harmless */
	assert_int_equal(quota_check(gateway, &repo, &ada, 700, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &ada, 701, &why), ERR_NO_SPACE);
	usleep((QUOTA_STALE_MS + 10) * 1000);
	assert_int_equal(quota_check(gateway, &repo, &ada, 1000, &why), 0); /* nothing had really come */
}

static void the_last_tenth_is_kept_for_those_who_may_write(void **state)
{
	(void)state;
	struct quota_reservation first, second;
	const struct actor reader = { .name = "ada", .role = TOKEN_READ };
	assert_false(quota_is_proposal(gateway, &repo, &ada));
	assert_true(quota_is_proposal(gateway, &repo, &bob) && quota_is_proposal(gateway, &repo, &reader));
	assert_int_equal(quota_check(gateway, &repo, &bob, UINT64_MAX, &why), 0); /* without a quota everything fits */
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 1001, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &bob, 900, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &bob, 901, &why), ERR_NO_SPACE);
	assert_non_null(strstr(why.text, "storage quota of ada is 1001 bytes, of which 101 bytes are kept for those who may write"));
	assert_int_equal(quota_check(gateway, &repo, &ada, 1001, &why), 0);
	/* All that is used or on its way counts, whoever sent it. */
	assert_int_equal(quota_reserve(gateway, &repo, &bob, 600, &first, &why), 0);
	assert_int_equal(quota_reserve(gateway, &other, &ada, 350, &second, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &bob, 1, &why), ERR_NO_SPACE);
	assert_int_equal(quota_check(gateway, &repo, &bob, 0, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &ada, 51, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &ada, 52, &why), ERR_NO_SPACE);
	assert_null(strstr(why.text, "kept"));
	quota_release(&first, false);
	quota_release(&second, false);
	/* Something is kept of the smallest quota, too. */
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 1, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &bob, 1, &why), ERR_NO_SPACE);
	assert_int_equal(quota_check(gateway, &repo, &ada, 1, &why), 0);
	assert_int_equal(quota_set(gateway->ns, "admin", "ada", 0, &why), 0);
	assert_int_equal(quota_check(gateway, &repo, &bob, 1, &why), ERR_NO_SPACE);
}

static void only_locks_of_others_are_in_the_way(void **state)
{
	(void)state;
	struct path_locks locks;
	struct lock lock;
	char owner[NAME_BYTES_MAX + 1];
	struct repo_settings on = { .set_lfs_locks = true, .lfs_locks = true };
	assert_int_equal(lock_create(gateway->ns, "bob", &repo.id, span_text("a.bin"), "", &lock, &why), 0);
	assert_int_equal(path_locks_open(&locks, gateway, &repo, "ada"), 0);
	assert_false(locks.any); /* they are off */
	assert_int_equal(repo_update(gateway->ns, "ada", &repo.id, &on, &why), 0);
	assert_int_equal(repo_get(gateway->ns, NULL, &repo.id, &repo), 0);
	assert_int_equal(path_locks_open(&locks, gateway, &repo, "ada"), 0);
	assert_true(locks.any);
	assert_int_equal(path_locks_check(&locks, span_text("b.bin"), owner, &why), 0);
	assert_int_equal(path_locks_check(&locks, span_text("a.bin"), owner, &why), ERR_DENIED);
	assert_string_equal(owner, "bob");
	assert_true(strstr(why.text, "a.bin") && strstr(why.text, "bob"));
	assert_int_equal(path_locks_open(&locks, gateway, &repo, "bob"), 0);
	assert_int_equal(path_locks_check(&locks, span_text("a.bin"), NULL, &why), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_a_quota_everything_fits),
		TEST(all_repositories_of_an_owner_count_and_nobody_elses),
		TEST(what_is_under_way_counts_until_it_ends),
		TEST(the_last_tenth_is_kept_for_those_who_may_write),
		TEST(only_locks_of_others_are_in_the_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
