#include "gateway/git/process_tree.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "schemas/error.h"

static FILE *open_file(pid_t pid, const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

static int add_cpu(pid_t pid, struct process_tree_use *out)
{
	char line[1024];
	uint64_t user, system;
	FILE *file = open_file(pid, "stat");
	if (!file)
		return ERR_NOT_FOUND;
	bool is_read = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	const char *behind_name = is_read ? strrchr(line, ')') : NULL;
	if (!behind_name || sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) != 2)
		return ERR_UNSUPPORTED;
	out->cpu_ms += (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	return 0;
}

static int add_written(pid_t pid, struct process_tree_use *out)
{
	char line[128];
	uint64_t bytes;
	int err = ERR_UNSUPPORTED;
	FILE *file = open_file(pid, "io");
	while (file && err && fgets(line, sizeof(line), file))
		if (sscanf(line, "wchar: %" SCNu64, &bytes) == 1)
			err = 0;
	if (file)
		fclose(file);
	out->written_bytes += err ? 0 : bytes;
	return err;
}

/* Adds those that it started to the list. */
static int add_children(pid_t pid, pid_t *list, size_t *count)
{
	char name[64];
	int child;
	snprintf(name, sizeof(name), "task/%d/children", (int)pid);
	FILE *file = open_file(pid, name);
	if (!file)
		return ERR_UNSUPPORTED;
	while (*count < PROCESS_TREE_MAX && fscanf(file, "%d", &child) == 1)
		list[(*count)++] = child;
	fclose(file);
	return 0;
}

int process_tree_use(pid_t pid, struct process_tree_use *out)
{
	pid_t list[PROCESS_TREE_MAX] = { pid };
	size_t count = 1;
	*out = (struct process_tree_use){ 0 };
	for (size_t i = 0; i < count; i++) {
		int err = add_cpu(list[i], out);
		if (err == 0)
			err = add_written(list[i], out);
		if (err == 0)
			err = add_children(list[i], list, &count);
		if (err && (i == 0 || add_cpu(list[i], &(struct process_tree_use){ 0 }) == 0)) /* a child may have ended meanwhile */
			return i == 0 && err == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_UNSUPPORTED;
	}
	return 0;
}
