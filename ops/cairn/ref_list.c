#include "ops/cairn/ref_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "ops/cairn/settings.h"

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct listed_ref *)a)->name, ((const struct listed_ref *)b)->name);
}

/* Lines of "OID blank or tab NAME". */
static int parse(struct ref_list *list)
{
	buffer_append_byte(&list->text, 0);
	if (list->text.failed)
		return EXIT_FAILED;
	size_t lines = 0;
	for (const char *at = (const char *)list->text.data; (at = strchr(at, '\n')); at++)
		lines++;
	list->refs = calloc(lines + 1, sizeof(*list->refs));
	if (!list->refs)
		return EXIT_FAILED;
	for (char *line = (char *)list->text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		size_t length = strspn(line, "0123456789abcdef");
		bool is_ref = length == REF_OID_DIGITS && (line[length] == ' ' || line[length] == '\t') && strncmp(line + length + 1, "refs/", 5) == 0;
		if (!is_ref)
			continue;
		struct listed_ref *ref = &list->refs[list->count++];
		memcpy(ref->oid, line, REF_OID_DIGITS);
		ref->name = line + length + 1;
	}
	qsort(list->refs, list->count, sizeof(*list->refs), compare);
	return 0;
}

static int finish(struct ref_list *list, int status, const char *whose)
{
	if (status == 0 && parse(list) == 0)
		return 0;
	fprintf(stderr, "cairn: the branches and tags of %s cannot be listed\n", whose);
	ref_list_free(list);
	return EXIT_FAILED;
}

int ref_list_local(struct ref_list *out, const struct mirror_dir *dir, const struct git_settings *settings)
{
	*out = (struct ref_list){ 0 };
	buffer_init(&out->text, REF_LIST_BYTES_MAX);
	return finish(out, git_run_words(settings, dir->path, &out->text, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", NULL),
		"the mirror");
}

int ref_list_remote(struct ref_list *out, const struct mirror_dir *dir, const struct git_settings *settings, const char *remote)
{
	*out = (struct ref_list){ 0 };
	buffer_init(&out->text, REF_LIST_BYTES_MAX);
	return finish(out, git_run_words(settings, dir->path, &out->text, "ls-remote", "--quiet", "--refs", remote, "refs/heads/*", "refs/tags/*", NULL), remote);
}

void ref_list_free(struct ref_list *list)
{
	free(list->refs);
	buffer_fini(&list->text);
	*list = (struct ref_list){ 0 };
}

const struct listed_ref *ref_list_find(const struct ref_list *list, const char *name)
{
	struct listed_ref wanted = { .name = name };
	return list->count ? bsearch(&wanted, list->refs, list->count, sizeof(*list->refs), compare) : NULL;
}
