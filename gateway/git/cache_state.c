#include "gateway/git/cache_state.h"

#include <fcntl.h>
#include <limits.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[] = "cairn-git-cache 3";

struct cache_state *cache_state_make(void)
{
	struct cache_state *state = calloc(1, sizeof(*state));
	if (state)
		atomic_init(&state->references, 1);
	return state;
}

struct cache_state *cache_state_hold(struct cache_state *state)
{
	atomic_fetch_add(&state->references, 1);
	return state;
}

void cache_state_release(struct cache_state *state)
{
	if (!state || atomic_fetch_sub(&state->references, 1) != 1)
		return;
	free(state->packs);
	free(state->files);
	free(state);
}

/* Room for one more; capacities are powers of two, so a count that is one is a full array. */
static int grow(void **items, size_t count, size_t item_bytes, size_t count_max)
{
	if (count >= count_max)
		return ERR_TOO_BIG;
	if (count & (count - 1))
		return 0;
	void *grown = realloc(*items, (count ? count * 2 : 1) * item_bytes);
	if (!grown)
		return ERR_NO_MEMORY;
	*items = grown;
	return 0;
}

int cache_state_add_pack(struct cache_state *state, const struct hash *file)
{
	int err = grow((void **)&state->packs, state->packs_count, sizeof(*state->packs), CACHE_PACKS_MAX);
	if (err == 0)
		state->packs[state->packs_count++] = *file;
	return err;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

void cache_state_sort(struct cache_state *state)
{
	if (state->packs_count)
		qsort(state->packs, state->packs_count, sizeof(*state->packs), compare);
}

bool cache_state_has_pack(const struct cache_state *state, const struct hash *file)
{
	return state->packs_count && bsearch(file, state->packs, state->packs_count, sizeof(*state->packs), compare) != NULL;
}

static int look(struct cache_file *out, const char *dir, const char *name)
{
	char path[PATH_MAX + CACHE_FILE_NAME_BYTES_MAX + 2];
	struct stat info;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
		return ERR_NOT_FOUND;
	out->bytes = (uint64_t)info.st_size;
	out->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
	return 0;
}

static int add_file(struct cache_state *state, const struct cache_file *file)
{
	int err = grow((void **)&state->files, state->files_count, sizeof(*state->files), CACHE_FILES_MAX);
	if (err == 0)
		state->files[state->files_count++] = *file;
	return err;
}

int cache_state_add_file(struct cache_state *state, const char *dir, const char *name)
{
	struct cache_file file = { 0 };
	if (strlen(name) > CACHE_FILE_NAME_BYTES_MAX)
		return ERR_TOO_BIG;
	strcpy(file.name, name);
	int err = look(&file, dir, name);
	return err ? err : add_file(state, &file);
}

uint64_t cache_state_bytes(const struct cache_state *state)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < state->files_count; i++)
		bytes += state->files[i].bytes;
	return bytes;
}

bool cache_name_ends(const char *name, const char *ending)
{
	size_t length = strlen(name), ending_length = strlen(ending);
	return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

uint64_t cache_state_bytes_of(const struct cache_state *state, const char *ending)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < state->files_count; i++)
		bytes += cache_name_ends(state->files[i].name, ending) ? state->files[i].bytes : 0;
	return bytes;
}

const struct cache_file *cache_state_find_file(const struct cache_state *state, const char *name)
{
	for (size_t i = 0; i < state->files_count; i++)
		if (strcmp(state->files[i].name, name) == 0)
			return &state->files[i];
	return NULL;
}

int cache_state_check(const struct cache_state *state, const char *dir)
{
	for (size_t i = 0; i < state->files_count; i++) {
		const struct cache_file *file = &state->files[i];
		struct cache_file now;
		if (look(&now, dir, file->name) != 0 || now.bytes != file->bytes || now.mtime_ns != file->mtime_ns)
			return ERR_CORRUPT;
	}
	return 0;
}

/* ------------------------------------------------------------------ text */

int cache_state_encode(const struct cache_state *state, const char *boot_id, struct buffer *out)
{
	size_t start = out->length;
	buffer_printf(out, "%s\nboot %s\nversion %" PRIu64 "\nindexed %" PRIu64 "\nduplicate %" PRIu64 "\nhead %s\n", magic, boot_id, state->version,
		state->indexed_bytes, state->duplicate_bytes, state->head);
	for (size_t i = 0; i < state->packs_count; i++) {
		char hex[2 * HASH_BYTES + 1];
		hex_encode(hex, state->packs[i].bytes, HASH_BYTES);
		buffer_printf(out, "pack %s\n", hex);
	}
	for (size_t i = 0; i < state->files_count; i++)
		buffer_printf(out, "file %s %" PRIu64 " %" PRId64 "\n", state->files[i].name, state->files[i].bytes, state->files[i].mtime_ns);
	if (out->failed)
		return ERR_TOO_BIG;
	return buffer_printf(out, "sum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(out->data + start, out->length - start));
}

/* The next line as text in `line`; false at the end or when it is too long. */
static bool next_line(struct span *rest, char line[256])
{
	const uint8_t *end = rest->length ? memchr(rest->data, '\n', rest->length) : NULL;
	size_t length = end ? (size_t)(end - rest->data) : 0;
	if (!end || length > 255 || memchr(rest->data, 0, length + 1))
		return false;
	memcpy(line, rest->data, length);
	line[length] = 0;
	*rest = span_of(end + 1, rest->length - length - 1);
	return true;
}

static bool name_is_ours(const char *name)
{
	return name[0] && name[0] != '/' && !strstr(name, "..");
}

static int read_fact(struct cache_state *state, const char *line)
{
	struct hash hash;
	struct cache_file file = { 0 };
	int used = 0;
	if (strncmp(line, "pack ", 5) == 0)
		return hex_decode(hash.bytes, HASH_BYTES, line + 5, strlen(line + 5)) == 0 ? cache_state_add_pack(state, &hash) : ERR_CORRUPT;
	if (sscanf(line, "file %95s %" SCNu64 " %" SCNd64 "%n", file.name, &file.bytes, &file.mtime_ns, &used) == 3 && !line[used] && name_is_ours(file.name))
		return add_file(state, &file);
	return ERR_CORRUPT;
}

/* "KEY NUMBER" */
static int read_number(struct span *rest, const char *key, uint64_t *out)
{
	char line[256];
	size_t length = strlen(key);
	int used = 0;
	bool is_it = next_line(rest, line) && strncmp(line, key, length) == 0 && sscanf(line + length, " %" SCNu64 "%n", out, &used) == 1 && !line[length + (size_t)used];
	return is_it ? 0 : ERR_CORRUPT;
}

static int read_head(struct cache_state *state, struct span *rest, const char *boot_id)
{
	char line[256];
	if (!next_line(rest, line) || strcmp(line, magic) != 0)
		return ERR_CORRUPT;
	if (!next_line(rest, line) || strncmp(line, "boot ", 5) != 0 || strcmp(line + 5, boot_id) != 0)
		return ERR_CORRUPT;
	if (read_number(rest, "version", &state->version) != 0 || read_number(rest, "indexed", &state->indexed_bytes) != 0 ||
		read_number(rest, "duplicate", &state->duplicate_bytes) != 0)
		return ERR_CORRUPT;
	if (!next_line(rest, line) || strncmp(line, "head ", 5) != 0)
		return ERR_CORRUPT;
	snprintf(state->head, sizeof(state->head), "%s", line + 5);
	return 0;
}

int cache_state_decode(struct cache_state **out, struct span text, const char *boot_id)
{
	enum { SUM_BYTES = 21 }; /* "sum ", 16 digits, newline */
	char line[256];
	uint64_t sum;
	*out = NULL;
	if (text.length < SUM_BYTES)
		return ERR_CORRUPT;
	struct span rest = span_of(text.data, text.length - SUM_BYTES), last = span_of(text.data + rest.length, SUM_BYTES);
	if (!next_line(&last, line) || sscanf(line, "sum %16" SCNx64, &sum) != 1 || sum != XXH3_64bits(rest.data, rest.length))
		return ERR_CORRUPT;
	struct cache_state *state = cache_state_make();
	if (!state)
		return ERR_NO_MEMORY;
	int err = read_head(state, &rest, boot_id);
	while (err == 0 && rest.length)
		err = next_line(&rest, line) ? read_fact(state, line) : ERR_CORRUPT;
	if (err) {
		cache_state_release(state);
		return err == ERR_NO_MEMORY ? err : ERR_CORRUPT;
	}
	cache_state_sort(state);
	*out = state;
	return 0;
}

static char boot_id[64];
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

static void read_boot_id(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, boot_id, sizeof(boot_id) - 1);
	boot_id[got > 0 ? got : 0] = 0;
	boot_id[strcspn(boot_id, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

const char *cache_boot_id(void)
{
	pthread_once(&boot_once, read_boot_id);
	return boot_id;
}
