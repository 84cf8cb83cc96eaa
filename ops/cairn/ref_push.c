#include "ops/cairn/ref_push.h"

#include <stdio.h>
#include <stdlib.h>

#include "ops/cairn/settings.h"
#include "replication/namespace.h"

enum {
	REFS_PER_PUSH = 200,
	SHOWN_MAX = 10,
};

static const char main_branch[] = "refs/heads/main";

struct change {
	const char *name;    /* of the ref on the hub */
	const char *old_oid; /* NULL: must not exist */
	const char *new_oid; /* NULL: goes */
};

struct change_list {
	struct change *changes;
	size_t count;
};

/* ------------------------------------------------------------------ what differs */

static void add_change(struct change_list *list, const struct ref_list *remote, const char *name, const char *oid)
{
	const struct listed_ref *there = ref_list_find(remote, name);
	if (!there && ref_name_shadows(span_text(name)))
		fprintf(stderr, "cairn: %s is left out: a branch or tag of a hub cannot be named HEAD or refs/...\n", name);
	else if (!there || strcmp(there->oid, oid) != 0)
		list->changes[list->count++] = (struct change){ .name = name, .old_oid = there ? there->oid : NULL, .new_oid = oid };
}

/* The hub's default branch is main; a source that has another one and no main gets both. */
static void add_main(struct change_list *list, const struct ref_push *push)
{
	const struct listed_ref *first = ref_list_find(push->local, main_branch);
	if (!first && push->default_branch[0]) {
		first = ref_list_find(push->local, push->default_branch);
		if (first)
			fprintf(stderr, "cairn: the source has no branch main; its default branch %s becomes main as well\n",
				push->default_branch + strlen("refs/heads/"));
	}
	if (first)
		add_change(list, push->remote, main_branch, first->oid);
}

static int list_changes(struct change_list *out, const struct ref_push *push)
{
	*out = (struct change_list){ .changes = calloc(push->local->count + push->remote->count + 1, sizeof(struct change)) };
	if (!out->changes)
		return EXIT_FAILED;
	add_main(out, push);
	for (size_t i = 0; i < push->local->count; i++)
		if (strcmp(push->local->refs[i].name, main_branch) != 0)
			add_change(out, push->remote, push->local->refs[i].name, push->local->refs[i].oid);
	for (size_t i = 0; push->prune && i < push->remote->count; i++) {
		const struct listed_ref *there = &push->remote->refs[i];
		if (!ref_list_find(push->local, there->name) && strcmp(there->name, main_branch) != 0)
			out->changes[out->count++] = (struct change){ .name = there->name, .old_oid = there->oid };
	}
	return 0;
}

/* ------------------------------------------------------------------ what would be lost */

/* One line for each old commit, in order: "OID missing" for those that the mirror never had. */
static int ask_known(const struct ref_push *push, const struct change_list *list, struct buffer *out)
{
	struct buffer asked;
	buffer_init(&asked, REF_LIST_BYTES_MAX);
	for (size_t i = 0; i < list->count; i++)
		if (list->changes[i].old_oid)
			buffer_printf(&asked, "%s\n", list->changes[i].old_oid);
	int status = 0;
	if (asked.length)
		status = git_run_arguments(push->settings, push->dir->path, (const char *const[]){ "cat-file", "--batch-check", NULL }, buffer_span(&asked), out);
	bool failed = asked.failed;
	buffer_fini(&asked);
	buffer_append_byte(out, 0);
	return status || failed || out->failed ? EXIT_FAILED : 0;
}

/* Refs whose commits on the hub the mirror never had; the first few are told. */
static size_t count_foreign(const struct ref_push *push, const struct change_list *list, const char *line)
{
	static const char missing[] = " missing\n";
	size_t foreign = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct change *change = &list->changes[i];
		if (!change->old_oid)
			continue;
		bool is_known = strncmp(line, change->old_oid, REF_OID_DIGITS) == 0 && strncmp(line + REF_OID_DIGITS, missing, sizeof(missing) - 1) != 0;
		const char *end = strchr(line, '\n');
		line = end ? end + 1 : "";
		if (is_known || (push->is_new && strcmp(change->name, main_branch) == 0))
			continue;
		if (foreign++ < SHOWN_MAX)
			fprintf(stderr, "cairn: %s has commits on the hub that the source never had\n", change->name);
	}
	return foreign;
}

static int check_changes(const struct ref_push *push, const struct change_list *list)
{
	struct buffer said;
	buffer_init(&said, REF_LIST_BYTES_MAX);
	int status = ask_known(push, list, &said);
	size_t foreign = status ? 0 : count_foreign(push, list, (const char *)said.data);
	buffer_fini(&said);
	if (foreign == 0 || push->force)
		return status;
	fprintf(stderr, "cairn: nothing was changed; --force overwrites %s\n", foreign == 1 ? "it" : "them");
	return EXIT_FAILED;
}

/* ------------------------------------------------------------------ pushing */

/* Lines of "!<tab>from:to<tab>reason": the hub's own words were on the terminal already. */
static size_t count_refused(struct buffer *said)
{
	size_t refused = 0;
	buffer_append_byte(said, 0);
	for (const char *line = (const char *)said->data; line && *line;) {
		const char *end = strchr(line, '\n'), *to = line[0] == '!' ? strchr(line, ':') : NULL;
		if (to && refused++ < SHOWN_MAX)
			fprintf(stderr, "cairn: refused: %.*s\n", (int)strcspn(to + 1, "\n"), to + 1);
		line = end ? end + 1 : NULL;
	}
	return refused;
}

/* How many of them did not come through. */
static size_t push_some(const struct ref_push *push, const struct change *changes, size_t count)
{
	const char *arguments[2 * REFS_PER_PUSH + 8] = { "push", "--porcelain", "--no-verify" };
	char *leases[REFS_PER_PUSH], *specs[REFS_PER_PUSH];
	size_t words = 3;
	for (size_t i = 0; i < count; i++) {
		if (asprintf(&leases[i], "--force-with-lease=%s:%s", changes[i].name, changes[i].old_oid ? changes[i].old_oid : "") < 0 ||
			asprintf(&specs[i], "%s:%s", changes[i].new_oid ? changes[i].new_oid : "", changes[i].name) < 0)
			abort();
		arguments[words++] = leases[i];
	}
	arguments[words++] = "hub";
	for (size_t i = 0; i < count; i++)
		arguments[words++] = specs[i];
	arguments[words] = NULL;
	struct buffer said;
	buffer_init(&said, REF_LIST_BYTES_MAX);
	int status = git_run_arguments(push->settings, push->dir->path, arguments, span_of(NULL, 0), &said);
	size_t refused = count_refused(&said);
	buffer_fini(&said);
	for (size_t i = 0; i < count; i++) {
		free(leases[i]);
		free(specs[i]);
	}
	return status == 0 ? 0 : refused ? refused : count;
}

int ref_push_run(struct ref_push *push)
{
	struct change_list list;
	if (list_changes(&list, push) != 0) {
		fprintf(stderr, "cairn: no memory\n");
		return EXIT_FAILED;
	}
	int status = check_changes(push, &list);
	for (size_t at = 0; status == 0 && at < list.count; at += REFS_PER_PUSH) {
		size_t count = list.count - at < REFS_PER_PUSH ? list.count - at : REFS_PER_PUSH;
		fprintf(stderr, "cairn: pushing %zu of %zu branches and tags that differ\n", at + count, list.count);
		push->refused += push_some(push, list.changes + at, count);
	}
	push->moved = status ? 0 : list.count - push->refused;
	free(list.changes);
	return status || push->refused ? EXIT_FAILED : 0;
}
