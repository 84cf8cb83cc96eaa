/* Several nodes in one process, over real sockets and disks: what callers of the namespace rely on when there is more than one. */
#include "replication/cluster_node.h"
#include "replication/cluster_settings.h"
#include "replication/repo_copies.h"
#include "tests/unit/replication/fixture.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { NODES = 3, WAIT_MS = 30 * 1000 };

static char *dirs[NODES];
static struct namespace *nodes[NODES];
static char names[NODES][8] = { "one", "two", "three" };
static char addresses[NODES][NODE_ADDRESS_BYTES_MAX];

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void open_node(size_t i, const char *token)
{
	struct why why = { 0 };
	/* A port that the system chose at first is kept over restarts. */
	struct cluster_config config = { .listen = addresses[i][0] ? addresses[i] : "127.0.0.1:0", .name = names[i], .join_token = token, .trailing_bytes = 1 };
	if (namespace_open_cluster(&nodes[i], dirs[i], &config, &why) != 0)
		fail_msg("node %zu: %s", i, why.text);
	struct cluster_node self;
	consensus_self(namespace_consensus(nodes[i]), &self);
	snprintf(addresses[i], sizeof(addresses[i]), "%s", self.address);
}

static void close_node(size_t i)
{
	namespace_close(nodes[i]);
	nodes[i] = NULL;
}

static void join_node(size_t i, enum node_role role)
{
	char token[JOIN_TOKEN_TEXT_BYTES_MAX];
	struct why why = { 0 };
	if (join_token_create(nodes[0], "", role, token, &why) != 0)
		fail_msg("%s", why.text);
	open_node(i, token);
}

static uint64_t id_of(size_t i)
{
	struct consensus_status status;
	consensus_status(namespace_consensus(nodes[i]), &status);
	return status.node_id;
}

static struct cluster_status *status_of(size_t i)
{
	static struct cluster_status status;
	assert_int_equal(consensus_cluster_status(namespace_consensus(nodes[i]), &status, NULL), 0);
	return &status;
}

static size_t voters_seen_by(size_t i)
{
	size_t voters = 0;
	const struct cluster_status *status = status_of(i);
	for (size_t k = 0; k < status->count; k++)
		voters += status->nodes[k].roles[0] == NODE_VOTER && status->nodes[k].roles[1] == NODE_VOTER;
	return voters;
}

static void wait_for_voters(size_t node, size_t count)
{
	uint64_t until = now_ms() + WAIT_MS;
	while (voters_seen_by(node) != count) {
		if (now_ms() > until)
			fail_msg("node %zu sees %zu voters, not %zu", node, voters_seen_by(node), count);
		usleep(20000);
	}
}

static void make_three(void)
{
	open_node(0, NULL);
	join_node(1, NODE_VOTER);
	join_node(2, NODE_VOTER);
	for (size_t i = 0; i < NODES; i++)
		wait_for_voters(i, 3);
}

static int set_up(void **state)
{
	(void)state;
	memset(addresses, 0, sizeof(addresses));
	for (size_t i = 0; i < NODES; i++)
		dirs[i] = directory_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < NODES; i++) {
		namespace_close(nodes[i]);
		nodes[i] = NULL;
		directory_remove(dirs[i]);
		free(dirs[i]);
	}
	return 0;
}

static void make_user(size_t node, const char *name)
{
	struct user user = { 0 };
	struct why why = { 0 };
	snprintf(user.name, sizeof(user.name), "%s", name);
	int err = user_create(nodes[node], "", &user, &why);
	if (err)
		fail_msg("node %zu, user %s: %s: %s", node, name, err_name(err), why.text);
}

static void assert_seen(size_t node, const char *name)
{
	struct user user;
	struct why why = { 0 };
	if (consensus_read_barrier(namespace_consensus(nodes[node]), GROUP_CLUSTER, 20000, &why) != 0)
		fail_msg("node %zu: %s", node, why.text);
	assert_int_equal(user_find(nodes[node], name, &user), 0);
}

static void what_is_written_through_any_node_is_read_through_any_node(void **state)
{
	(void)state;
	make_three();
	char name[32];
	for (size_t i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user-%zu", i);
		make_user(i % NODES, name);
		struct user user; /* on the node that wrote it, without asking anybody */
		assert_int_equal(user_find(nodes[i % NODES], name, &user), 0);
		for (size_t k = 0; k < NODES; k++)
			assert_seen(k, name);
	}
	struct user again = { .name = "user-3" };
	struct why why = { 0 };
	for (size_t i = 0; i < NODES; i++) { /* a precondition's sentence comes back from the leader */
		assert_int_equal(user_create(nodes[i], "", &again, &why), ERR_EXISTS);
		assert_non_null(strstr(why.text, "is taken"));
	}
}

static void a_node_that_was_away_catches_up(void **state)
{
	(void)state;
	make_three();
	for (size_t away = 0; away < NODES; away++) { /* whoever leads is among them */
		char name[32];
		close_node(away);
		for (size_t i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "away-%zu-%zu", away, i);
			make_user((away + 1 + i % 2) % NODES, name);
		}
		open_node(away, NULL);
		assert_seen(away, name);
	}
}

/* On another port each time: the others hear of it from the node itself, as its record says the old one until a leader has heard. */
static void nodes_that_move_are_found_again(void **state)
{
	(void)state;
	make_three();
	for (size_t moved = 0; moved < NODES; moved++) {
		char before[NODE_ADDRESS_BYTES_MAX], name[32];
		memcpy(before, addresses[moved], sizeof(before));
		close_node(moved);
		addresses[moved][0] = 0;
		open_node(moved, NULL);
		assert_string_not_equal(before, addresses[moved]);
		snprintf(name, sizeof(name), "moved-%zu", moved);
		make_user(moved, name);
		for (size_t i = 0; i < NODES; i++)
			assert_seen(i, name);
	}
	const struct cluster_status *status = status_of(0);
	for (size_t k = 0; k < status->count; k++)
		assert_true(status->nodes[k].connected);
}

/* With hardly any log kept, who was away longer than a flush mark gets the state itself. */
static void a_node_far_behind_gets_the_state(void **state)
{
	(void)state;
	make_three();
	char name[32];
	make_user(0, "before");
	close_node(2);
	for (size_t i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "during-%zu", i);
		make_user(i % 2, name);
	}
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(consensus_snapshot(namespace_consensus(nodes[i]), NULL), 0);
	make_user(0, "after-the-mark");
	open_node(2, NULL);
	assert_seen(2, "before");
	assert_seen(2, "during-7");
	assert_seen(2, "after-the-mark");
	assert_true(status_of(2)->groups[0].snapshot_index > 0);
	make_user(2, "and-it-goes-on");
	assert_seen(0, "and-it-goes-on");
	/* The installed state survives a restart, as does a new node that never had anything else. */
	close_node(2);
	make_user(1, "once-more");
	open_node(2, NULL);
	assert_seen(2, "once-more");
	assert_seen(2, "during-39");
}

static void a_new_node_gets_what_the_log_does_not_hold_any_more(void **state)
{
	(void)state;
	open_node(0, NULL);
	for (size_t i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "early-%zu", i);
		make_user(0, name);
	}
	assert_int_equal(consensus_snapshot(namespace_consensus(nodes[0]), NULL), 0);
	make_user(0, "late");
	join_node(1, NODE_LEARNER);
	assert_seen(1, "early-0");
	assert_seen(1, "late");
	assert_int_equal(voters_seen_by(0), 1);
	make_user(1, "through-a-learner");
	assert_seen(0, "through-a-learner");
	uint64_t id = id_of(1);
	struct why why = { 0 };
	join_node(2, NODE_LEARNER);
	const uint64_t both[] = { id, id_of(2) };
	assert_int_equal(cluster_node_roles(nodes[0], "", both, 2, NODE_VOTER, &why), 0);
	wait_for_voters(0, 3);
}

static void a_join_token_is_good_for_one_node(void **state)
{
	(void)state;
	char token[JOIN_TOKEN_TEXT_BYTES_MAX];
	struct why why = { 0 };
	open_node(0, NULL);
	assert_int_equal(join_token_create(nodes[0], "", NODE_LEARNER, token, &why), 0);
	open_node(1, token);
	struct cluster_config config = { .listen = "127.0.0.1:0", .join_token = token };
	assert_int_equal(namespace_open_cluster(&nodes[2], dirs[2], &config, &why), ERR_DENIED);
	assert_non_null(strstr(why.text, "token"));
	config.join_token = "cairn-join-nonsense";
	assert_int_equal(namespace_open_cluster(&nodes[2], dirs[2], &config, &why), ERR_INVALID);
	config.join_token = NULL; /* half-way in: it does not found a cluster of its own by accident */
	assert_int_equal(namespace_open_cluster(&nodes[2], dirs[2], &config, &why), ERR_INVALID);
	/* The one that is in starts again with or without it. */
	close_node(1);
	open_node(1, token);
	close_node(1);
	open_node(1, NULL);
	make_user(1, "fine");
}

static void a_removed_node_is_not_let_in_again(void **state)
{
	(void)state;
	struct why why = { 0 };
	make_three();
	uint64_t gone = id_of(2);
	const uint64_t all[] = { id_of(0), id_of(1), gone };
	assert_int_equal(cluster_node_roles(nodes[1], "", all, 3, NODE_REMOVED, &why), ERR_CONFLICT); /* no voter would be left */
	assert_int_equal(cluster_node_roles(nodes[1], "", &gone, 1, NODE_REMOVED, &why), 0);
	wait_for_voters(0, 2);
	close_node(2);
	make_user(0, "without-it");
	struct cluster_config config = { .listen = addresses[2] };
	uint64_t began = now_ms();
	int err = namespace_open_cluster(&nodes[2], dirs[2], &config, &why);
	assert_true(err == ERR_DENIED || err == ERR_CLOSED || err == ERR_BUSY);
	assert_true(now_ms() - began < 60000);
	assert_int_equal(cluster_node_roles(nodes[0], "", &gone, 1, NODE_VOTER, &why), ERR_CONFLICT);
	uint64_t nobody = 77;
	assert_int_equal(cluster_node_roles(nodes[0], "", &nobody, 1, NODE_VOTER, &why), ERR_NOT_FOUND);
}

static const struct cluster_view *view_of(size_t node, uint64_t epoch_min)
{
	static struct cluster_view view;
	for (uint64_t until = now_ms() + WAIT_MS;; usleep(10000)) {
		consensus_view(namespace_consensus(nodes[node]), &view);
		if (view.settings.epoch >= epoch_min)
			return &view;
		assert_true(now_ms() < until);
	}
}

/* Of three nodes; the epoch grows by three. */
static void erasure_coding_is_set_once_there_are_enough_nodes(uint64_t epoch)
{
	struct why why = { 0 };
	struct erasure_change many = { 4, 2, UINT64_MAX }, wrong = { 1, 1, UINT64_MAX }, age = { CLUSTER_LEAVE, CLUSTER_LEAVE, 5000 }, on = { 2, 1, UINT64_MAX }, off = { 0, 0, UINT64_MAX };
	assert_int_equal(cluster_set_erasure(nodes[1], "", &many, &why), ERR_INVALID);
	assert_string_equal(why.text, "4+2 parts cannot lie on different nodes: there are only 3");
	assert_int_equal(cluster_set_erasure(nodes[1], "", &wrong, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "2 to 10 parts of data"));
	assert_int_equal(cluster_set_erasure(nodes[1], "", &age, &why), ERR_INVALID);
	assert_int_equal(view_of(0, 1)->settings.epoch, epoch);
	assert_int_equal(cluster_set_erasure(nodes[1], "", &on, &why), 0);
	const struct cluster_settings *settings = &view_of(2, epoch + 1)->settings;
	assert_true(settings->erasure_data == 2 && settings->erasure_parity == 1 && settings->erasure_after_ms == ERASURE_AFTER_MS_DEFAULT);
	assert_int_equal(cluster_set_erasure(nodes[0], "", &age, &why), 0);
	settings = &view_of(2, epoch + 2)->settings;
	assert_true(settings->erasure_data == 2 && settings->erasure_parity == 1 && settings->erasure_after_ms == 5000);
	assert_int_equal(cluster_set_erasure(nodes[0], "", &off, &why), 0);
	assert_int_equal(view_of(2, epoch + 3)->settings.erasure_data, 0);
}

static void what_is_set_and_who_is_drained_is_known_to_all(void **state)
{
	(void)state;
	struct why why = { 0 };
	make_three();
	uint64_t id = id_of(2), nobody = 77, epoch = view_of(0, 1)->settings.epoch;
	struct cluster_change four = { 4, CLUSTER_LEAVE, UINT64_MAX, false }, late = { 2, 3, UINT64_MAX, false }, soon = { CLUSTER_LEAVE, CLUSTER_LEAVE, 100, false };
	assert_int_equal(cluster_set(nodes[1], "", &four, &why), ERR_INVALID);
	assert_string_equal(why.text, "4 copies of everything cannot lie in different failure domains: there are only 3");
	assert_int_equal(cluster_set(nodes[1], "", &late, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "3 copies cannot be waited for"));
	assert_int_equal(cluster_set(nodes[1], "", &soon, &why), ERR_INVALID);
	assert_int_equal(view_of(0, 1)->settings.epoch, epoch); /* what is refused changes nothing */
	assert_int_equal(cluster_set(nodes[1], "", &(struct cluster_change){ 2, 1, 9000, false }, &why), 0);
	for (size_t i = 0; i < 3; i++) {
		const struct cluster_settings *settings = &view_of(i, epoch + 1)->settings;
		assert_true(settings->replication_factor == 2 && settings->copies == 1 && settings->grace_ms == 9000 && settings->walks == 0);
	}
	assert_int_equal(cluster_node_place(nodes[2], "", &nobody, 1, NODE_DRAINED, &why), ERR_NOT_FOUND);
	erasure_coding_is_set_once_there_are_enough_nodes(epoch + 1);
	epoch += 3;
	assert_int_equal(cluster_node_place(nodes[2], "", &id, 1, NODE_DRAINED, &why), 0);
	assert_int_equal(cluster_node_place(nodes[0], "", &id, 1, NODE_AWAY, &why), 0);
	const struct cluster_node *node = cluster_view_find(view_of(1, epoch + 3), id);
	assert_true(node && node->drained && node->away && node->role == NODE_VOTER);
	assert_int_equal(cluster_node_place(nodes[0], "", &id, 1, NODE_BACK, &why), 0);
	assert_int_equal(cluster_node_place(nodes[0], "", &id, 1, NODE_NOT_DRAINED, &why), 0);
	node = cluster_view_find(view_of(1, epoch + 5), id);
	assert_true(node && !node->drained && !node->away);
	/* A node that starts again knows it before it hears of anybody. */
	close_node(2);
	open_node(2, NULL);
	assert_int_equal(view_of(2, epoch + 5)->settings.replication_factor, 2);
	assert_int_equal(cluster_node_roles(nodes[0], "", &id, 1, NODE_REMOVED, &why), 0);
	assert_int_equal(cluster_node_place(nodes[0], "", &id, 1, NODE_DRAINED, &why), ERR_CONFLICT);
}

/* What a node has applied of it, in time. */
static bool tells_url(size_t i, uint64_t id, const char *url)
{
	for (int tries = 0; tries < 500; tries++) {
		const struct cluster_node *node = cluster_view_find(view_of(i, 0), id);
		if (node && strcmp(node->node_url, url) == 0)
			return true;
		usleep(10 * 1000);
	}
	return false;
}

static void at_which_url_clients_reach_a_node_is_known_to_all(void **state)
{
	(void)state;
	static const char url[] = "https://two.example.org:8443/hub";
	struct why why = { 0 };
	char longest[NODE_ADDRESS_BYTES_MAX + 1] = "http://";
	make_three();
	uint64_t id = id_of(2), epoch = view_of(0, 1)->settings.epoch;
	assert_string_equal(cluster_view_find(view_of(0, 0), id)->node_url, "");
	memset(longest + 7, 'a', sizeof(longest) - 8);
	static const char *const wrong[] = { "two.example.org", "ftp://two", "http://two/", "http://two ", "http://two/\r\nX: y", "http://two?a", "http://tw\xc3\xb6" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(cluster_node_url(nodes[0], id, wrong[i], &why), ERR_INVALID);
	assert_int_equal(cluster_node_url(nodes[0], id, longest, &why), ERR_INVALID);
	assert_int_equal(cluster_node_url(nodes[0], 77, url, &why), ERR_NOT_FOUND);
	longest[NODE_ADDRESS_BYTES_MAX - 1] = 0;
	assert_int_equal(cluster_node_url(nodes[0], id, longest, &why), 0);
	assert_true(tells_url(1, id, longest));
	assert_int_equal(cluster_node_url(nodes[2], id, url, &why), 0);
	for (size_t i = 0; i < 3; i++)
		assert_true(tells_url(i, id, url));
	assert_true(view_of(0, 0)->settings.epoch == epoch); /* nothing moves for it */
	/* What else a node tells, and what is done with it, leaves the URL as it is. */
	struct cluster_node self = *cluster_view_find(view_of(0, 0), id);
	snprintf(self.name, sizeof(self.name), "renamed");
	self.node_url[0] = 0;
	assert_int_equal(cluster_node_announce(nodes[0], &self, &why), 0);
	assert_int_equal(cluster_node_roles(nodes[0], "", &id, 1, NODE_LEARNER, &why), 0);
	for (size_t i = 0; i < 3; i++)
		assert_true(tells_url(i, id, url));
	/* Started again without one it takes it back. */
	close_node(2);
	open_node(2, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_true(tells_url(i, id, ""));
	assert_int_equal(cluster_node_roles(nodes[0], "", &id, 1, NODE_REMOVED, &why), 0);
	assert_int_equal(cluster_node_url(nodes[0], id, url, &why), ERR_NOT_FOUND);
}

static void what_a_repository_wants_is_known_to_all(void **state)
{
	(void)state;
	struct why why = { 0 };
	struct repo repo = { .type = REPO_MODEL, .owner = "ada", .name = "stones" };
	struct entity_id id;
	make_three();
	assert_int_equal(repo_create(nodes[0], "ada", &repo, &id, &why), 0);
	assert_int_equal(repo_copies_set(nodes[1], "ada", &id, 4, &why), ERR_INVALID);
	assert_string_equal(why.text, "4 copies of a repository cannot lie in different failure domains: there are only 3");
	uint64_t epoch = view_of(0, 1)->settings.epoch;
	assert_int_equal(repo_copies_set(nodes[1], "ada", &id, 2, &why), 0);
	for (size_t i = 0; i < 3; i++) {
		struct repo_copies_table table;
		assert_int_equal(view_of(i, epoch + 1)->settings.repos, 1);
		assert_int_equal(repo_copies_load(nodes[i], &table, &why), 0);
		assert_true(table.epoch == epoch + 1 && repo_copies_find(&table, &id) == 2 && table.least == 2 && table.most == 2);
		repo_copies_fini(&table);
	}
}

static void a_leader_can_be_demoted_and_removed(void **state)
{
	(void)state;
	struct why why = { 0 };
	make_three();
	uint64_t leader = status_of(0)->groups[0].leader;
	size_t at = 0;
	while (id_of(at) != leader)
		at++;
	size_t other = (at + 1) % NODES;
	assert_int_equal(cluster_node_roles(nodes[at], "", &leader, 1, NODE_LEARNER, &why), 0);
	wait_for_voters(other, 2);
	make_user(at, "through-the-learner");
	assert_seen(other, "through-the-learner");
	assert_int_equal(cluster_node_roles(nodes[other], "", &leader, 1, NODE_REMOVED, &why), 0);
	uint64_t until = now_ms() + WAIT_MS;
	for (bool gone = false; !gone; usleep(20000)) {
		const struct cluster_status *status = status_of(other);
		gone = true;
		for (size_t k = 0; k < status->count; k++)
			gone = gone && (status->nodes[k].node.node_id != leader || (!status->nodes[k].roles[0] && !status->nodes[k].roles[1]));
		assert_true(now_ms() < until);
	}
	make_user(other, "without-it");
}

static void leadership_moves_before_a_planned_stop(void **state)
{
	(void)state;
	make_three();
	for (size_t round = 0; round < 2; round++) {
		uint64_t leader = status_of(0)->groups[1].leader;
		size_t at = 0;
		while (at < NODES && id_of(at) != leader)
			at++;
		if (at == NODES)
			continue;
		consensus_step_down(namespace_consensus(nodes[at]), 5000);
		assert_true(status_of(at)->groups[0].leader != leader && status_of(at)->groups[1].leader != leader);
		make_user(at, round ? "second" : "first");
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the server does: libuv has no flag against it */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_through_any_node_is_read_through_any_node, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_that_was_away_catches_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nodes_that_move_are_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_far_behind_gets_the_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_node_gets_what_the_log_does_not_hold_any_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_join_token_is_good_for_one_node, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_removed_node_is_not_let_in_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_leader_can_be_demoted_and_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_set_and_who_is_drained_is_known_to_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(at_which_url_clients_reach_a_node_is_known_to_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_repository_wants_is_known_to_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leadership_moves_before_a_planned_stop, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
