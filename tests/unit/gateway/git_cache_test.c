/* The disposable repositories of a gateway: what git thinks of them, and that nothing is lost when they are. */
#include "git_cache_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/git/cache_state.h"

static void a_repository_becomes_one_that_git_can_read(void **state)
{
	(void)state;
	commit(&repo, "a.txt", "one");
	commit(&repo, "folder/empty", "");
	struct oid head = commit(&repo, "folder/b.txt", "two");
	struct git_lease lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_string_equal(output_of("git -C %s ls-tree -r --name-only HEAD", lease.dir), "a.txt\nfolder/b.txt\nfolder/empty\n");
	assert_string_equal(output_of("git -C %s show HEAD:folder/b.txt", lease.dir), "two");
	assert_string_equal(output_of("git -C %s for-each-ref --format='%%(refname)'", lease.dir), "refs/heads/main\n");
	release(&lease);
}

static void an_empty_repository_is_one_too(void **state)
{
	(void)state;
	struct git_lease lease = lease_of(&repo);
	assert_string_equal(output_of("git -C %s symbolic-ref HEAD", lease.dir), "refs/heads/main\n");
	assert_string_equal(output_of("git -C %s for-each-ref", lease.dir), "");
	release(&lease);
}

static void many_commits_are_few_packs(void **state)
{
	(void)state;
	struct oid head = { { 0 } };
	for (int i = 0; i < 200; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		head = commit(&repo, "counter", text);
	}
	struct git_lease lease = lease_of(&repo);
	assert_int_equal(packs_in(&lease), 1);
	assert_sound(&lease, &head);
	assert_int_equal(atoi(output_of("git -C %s rev-list --count HEAD", lease.dir)), 200);
	release(&lease);
}

static void commits_with_leases_between_them_are_combined(void **state)
{
	(void)state;
	struct oid head = { { 0 } };
	for (int i = 0; i < GIT_CACHE_PACKS_MAX + 5; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		head = commit(&repo, "counter", text);
		struct git_lease lease = lease_of(&repo);
		assert_true(packs_in(&lease) <= GIT_CACHE_PACKS_MAX);
		release(&lease);
	}
	struct git_lease lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_int_equal(stats().rebuilds, 0);
	release(&lease);
}

static void an_unchanged_repository_costs_next_to_nothing(void **state)
{
	(void)state;
	enum { TIMES = 1000 };
	commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(git_cache_lease_now(&gateway, &repo, &lease), 0);
		release(&lease);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	int64_t us = ((int64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec) / 1000 / TIMES;
	assert_true(us < 1000);
	assert_int_equal(stats().builds, 1);
}

static void what_is_new_appears_and_what_is_old_is_not_built_again(void **state)
{
	(void)state;
	commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	uint64_t old = lease.version;
	release(&lease);
	struct oid head = commit(&repo, "b", "2");
	lease = lease_of(&repo);
	assert_true(lease.version > old);
	assert_sound(&lease, &head);
	assert_int_equal(packs_in(&lease), 2);
	release(&lease);
}

static void a_directory_that_is_gone_is_built_again(void **state)
{
	(void)state;
	struct oid head = commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	output_of("rm -r %s/git", dir);
	output_of("mkdir %s/git", dir);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	release(&lease);
}

static void damage(const char *command)
{
	struct oid head = commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	char text[PATH_MAX + 256];
	snprintf(text, sizeof(text), "cd %s && %s", lease.dir, command);
	release(&lease);
	output_of("%s", text);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_int_equal(stats().rebuilds, 1);
	release(&lease);
}

static void damaged_files_are_noticed(void **state)
{
	(void)state;
	damage("chmod u+w objects/pack/*.pack && truncate -s 30 objects/pack/*.pack");
}

static void a_pack_with_other_bytes_is_noticed(void **state)
{
	(void)state;
	damage("chmod u+w objects/pack/*.pack && printf xxxx | dd of=$(ls objects/pack/*.pack) bs=1 seek=20 conv=notrunc 2>/dev/null");
}

static void a_missing_index_is_noticed(void **state)
{
	(void)state;
	damage("rm objects/pack/*.idx");
}

static void other_refs_are_noticed(void **state)
{
	(void)state;
	damage("echo > packed-refs");
}

static void a_restart_keeps_what_is_sound(void **state)
{
	(void)state;
	struct oid head = commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	output_of("touch %s/objects/pack/pack-0000000000000000000000000000000000000000.idx %s/tmp/new.pack", lease.dir, lease.dir);
	output_of("mkdir %s/git/trash-7", dir);
	release(&lease);
	reopen_cache(1 << 30, 1 << 20);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_int_equal(stats().rebuilds, 0);
	assert_string_equal(output_of("ls %s/objects/pack | grep 000000000 | cat; ls %s/tmp; ls %s/git | grep trash | cat", lease.dir, lease.dir, dir), "");
	release(&lease);
}

static void a_torn_state_is_not_believed(void **state)
{
	(void)state;
	struct oid head = commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	output_of("truncate -s -10 %s/cairn-state", lease.dir);
	release(&lease);
	reopen_cache(1 << 30, 1 << 20);
	lease = lease_of(&repo);
	assert_sound(&lease, &head);
	assert_int_equal(stats().rebuilds, 1);
	release(&lease);
}

static void the_longest_unused_goes_when_there_are_too_many_bytes(void **state)
{
	(void)state;
	struct repo second = make_repo("second");
	struct oid head = commit(&repo, "a", "1"), other = commit(&second, "a", "2");
	reopen_cache(3000, 1 << 20); /* enough for one */
	struct git_lease first = lease_of(&repo), two = lease_of(&second);
	assert_sound(&first, &head);
	assert_sound(&two, &other);
	assert_int_equal(stats().evictions, 0); /* both in use */
	release(&first);
	assert_int_equal(stats().evictions, 1);
	assert_sound(&two, &other);
	release(&two);
	first = lease_of(&repo);
	assert_sound(&first, &head);
	release(&first);
}

static void a_full_disk_is_left_to_the_store(void **state)
{
	(void)state;
	commit(&repo, "a", "1");
	reopen_cache(1 << 30, (uint64_t)1 << 50);
	struct git_lease lease;
	struct why why = { 0 };
	assert_int_equal(repo_get(gateway.ns, NULL, &repo.id, &repo), 0);
	assert_int_equal(git_cache_lease(&gateway, &repo, &lease, &why), ERR_NO_SPACE);
	assert_true(why.text[0] != 0);
	reopen_cache(1 << 30, 1 << 20);
	lease = lease_of(&repo);
	release(&lease);
}

static void a_deleted_repository_is_not_leased(void **state)
{
	(void)state;
	commit(&repo, "a", "1");
	struct git_lease lease = lease_of(&repo);
	release(&lease);
	assert_int_equal(repo_delete(gateway.ns, "ada", &repo.id, NULL), 0);
	repo.version++;
	assert_int_equal(git_cache_lease(&gateway, &repo, &lease, NULL), ERR_NOT_FOUND);
	assert_string_equal(output_of("ls %s/git", dir), "");
	assert_int_equal(stats().repositories, 0);
}

static void *lease_and_look(void *context)
{
	(void)context;
	for (int i = 0; i < 20; i++) {
		struct repo mine = repo;
		struct git_lease lease;
		struct why why = { 0 };
		repo_get(gateway.ns, NULL, &repo.id, &mine);
		if (git_cache_lease(&gateway, &mine, &lease, &why) != 0)
			return "no lease";
		if (lease.version < mine.version)
			return "old lease";
		release(&lease);
	}
	return NULL;
}

static void leases_and_commits_go_side_by_side(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	struct oid head = commit(&repo, "a", "first");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, lease_and_look, NULL);
	for (int i = 0; i < 20; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		head = commit(&repo, "a", text);
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		if (result)
			fail_msg("%s", (const char *)result);
	}
	struct git_lease lease = lease_of(&repo);
	assert_sound(&lease, &head);
	release(&lease);
}

static void a_state_reads_back_and_a_bent_one_does_not(void **state)
{
	(void)state;
	struct cache_state *made = cache_state_make(), *read;
	struct hash hash = { { 1, 2, 3 } };
	struct buffer text;
	buffer_init(&text, 1 << 16);
	made->version = 7;
	strcpy(made->head, "refs/heads/main");
	assert_int_equal(cache_state_add_pack(made, &hash), 0);
	assert_int_equal(cache_state_add_file(made, "/proc/self", "nothing"), ERR_NOT_FOUND);
	assert_int_equal(cache_state_encode(made, "boot", &text), 0);
	assert_int_equal(cache_state_decode(&read, buffer_span(&text), "boot"), 0);
	assert_int_equal(read->version, 7);
	assert_true(cache_state_has_pack(read, &hash));
	cache_state_release(read);
	assert_int_equal(cache_state_decode(&read, buffer_span(&text), "another boot"), ERR_CORRUPT);
	for (size_t i = 0; i < text.length; i++) {
		text.data[i] ^= 1;
		assert_int_equal(cache_state_decode(&read, buffer_span(&text), "boot"), ERR_CORRUPT);
		text.data[i] ^= 1;
		assert_int_equal(cache_state_decode(&read, span_of(text.data, i), "boot"), ERR_CORRUPT);
	}
	buffer_fini(&text);
	cache_state_release(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_repository_becomes_one_that_git_can_read),
		TEST(an_empty_repository_is_one_too),
		TEST(many_commits_are_few_packs),
		TEST(commits_with_leases_between_them_are_combined),
		TEST(an_unchanged_repository_costs_next_to_nothing),
		TEST(what_is_new_appears_and_what_is_old_is_not_built_again),
		TEST(a_directory_that_is_gone_is_built_again),
		TEST(damaged_files_are_noticed),
		TEST(a_pack_with_other_bytes_is_noticed),
		TEST(a_missing_index_is_noticed),
		TEST(other_refs_are_noticed),
		TEST(a_restart_keeps_what_is_sound),
		TEST(a_torn_state_is_not_believed),
		TEST(the_longest_unused_goes_when_there_are_too_many_bytes),
		TEST(a_full_disk_is_left_to_the_store),
		TEST(a_deleted_repository_is_not_leased),
		TEST(leases_and_commits_go_side_by_side),
		cmocka_unit_test(a_state_reads_back_and_a_bent_one_does_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
