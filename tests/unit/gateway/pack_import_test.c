/* Packs as git makes them - deltas, an index - through a real store and back. */
#include "gateway/repo/object_hash.h"
#include "gateway/repo/pack_file.h"
#include "schemas/git_object.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-pack-XXXXXX";
static struct gateway gateway;
static const struct entity_id owner = { { 1 } };

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void shell(const char *script)
{
	char command[4096];
	snprintf(command, sizeof(command),
		"set -e; cd %s; export HOME=%s GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; %s", dir,
		dir, script);
	assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	char path[64];
	struct why why = { 0 };
	snprintf(path, sizeof(path), "%s/store", dir);
	struct store_config config = { .dir = path, .volume_bytes_max = 64 << 20, .reserve_bytes = 1 << 20 };
	if (store_open(&gateway.store, &config, &why) != 0)
		fail_msg("%s", why.text);
	gateway.data_dir = dir;
	/* 40 versions of one file and of one folder: git packs them as deltas. One LFS pointer. */
	shell("mkdir tmp; git init -q -b main w; cd w; seq 1 4000 >numbers; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 5\\n' 7 >p.bin;"
	      "for i in $(seq 40); do sed -i \"s/^$i$/line $i/\" numbers; mkdir -p d; echo $i >d/$i; git add -A; git commit -qm $i; done; git tag -am t v1;"
	      "git repack -qadf --depth=20; cp .git/objects/pack/*.pack ../p.pack; git index-pack --rev-index -o ../p.idx ../p.pack >/dev/null");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_close(gateway.store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int open_file(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int two_entries(void *context, struct pack_map_entry *out)
{
	int *left = context;
	if (*left == 0)
		return 0;
	*out = (struct pack_map_entry){ .oid = { { (uint8_t)(9 - *left) } }, .file = { { 1 } }, .length = 100 + (uint64_t)*left };
	--*left;
	return 1;
}

static struct pack import(void)
{
	struct upload *upload;
	struct pack pack;
	struct why why = { 0 };
	int left = 2;
	struct pack_import from = { .class = PACK_RECEIVE, .pack_fd = open_file("p.pack"), .idx_fd = open_file("p.idx"), .rev_fd = open_file("p.rev"),
		.bitmap_fd = -1, .map_count = 2, .next = two_entries, .context = &left };
	assert_int_equal(upload_open(&upload, gateway.store, &owner, &why), 0);
	if (pack_file_import(upload, &from, &pack, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(upload_commit(upload, &why), 0);
	upload_close(upload);
	close(from.pack_fd);
	close(from.idx_fd);
	close(from.rev_fd);
	return pack;
}

struct seen {
	unsigned types[5], mapped, pointers;
};

static int see(void *context, const struct oid *oid, const struct git_object *object)
{
	struct seen *seen = context;
	if (!pack_holds(object)) {
		assert_true(object->length == 101 || object->length == 102);
		seen->mapped++;
		return 0;
	}
	struct oid hashed;
	assert_int_equal(object_hash(&hashed, (enum git_type)object->type, object->payload), 0);
	assert_memory_equal(hashed.bytes, oid->bytes, OID_BYTES);
	seen->types[object->type]++;
	seen->pointers += object->is_lfs_pointer;
	assert_true(!object->is_lfs_pointer || object->lfs_length == 5);
	return 0;
}

static void objects_behind_deltas_are_read(void **state)
{
	(void)state;
	struct pack pack = import();
	struct seen seen = { 0 };
	struct why why = { 0 };
	assert_int_equal(pack.class, PACK_RECEIVE);
	if (pack_file_read(&gateway, &pack, see, &seen, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(seen.types[GIT_COMMIT], 40);
	assert_int_equal(seen.types[GIT_TREE], 80);
	assert_int_equal(seen.types[GIT_TAG], 1);
	assert_int_equal(seen.types[GIT_BLOB], 1);
	assert_int_equal(seen.pointers, 1);
	assert_int_equal(seen.mapped, 2);
	shell("test -z \"$(ls tmp)\""); /* what was unpacked is gone */
}

static int count_oid(void *context, const struct oid *oid)
{
	(void)oid;
	++*(uint64_t *)context;
	return 0;
}

static void all_ids_are_told_without_unpacking(void **state)
{
	(void)state;
	struct pack pack = import();
	struct why why = { 0 };
	uint64_t count = 0;
	assert_int_equal(pack_file_oids(&gateway, &pack, count_oid, &count, &why), 0);
	assert_int_equal(count, pack.objects);
	assert_int_equal(count, 40 + 80 + 1 + 1 + 40 + 40);
}

static void parts_come_back_as_they_were(void **state)
{
	(void)state;
	struct pack pack = import();
	struct why why = { 0 };
	static const struct {
		enum pack_part part;
		const char *name;
	} parts[] = { { PACK_PART_PACK, "pack" }, { PACK_PART_IDX, "idx" }, { PACK_PART_REV, "rev" } };
	for (size_t i = 0; i < 3; i++) {
		char path[128], script[128];
		snprintf(path, sizeof(path), "%s/back.%s", dir, parts[i].name);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_int_equal(pack_file_copy(gateway.store, &pack, parts[i].part, fd, &why), 0);
		close(fd);
		snprintf(script, sizeof(script), "cmp back.%s p.%s", parts[i].name, parts[i].name);
		shell(script);
	}
	uint64_t start, end;
	assert_int_equal(pack_file_part(gateway.store, &pack, PACK_PART_BITMAP, &start, &end, &why), ERR_NOT_FOUND);
	assert_int_equal(pack_file_part(gateway.store, &pack, PACK_PART_MAP, &start, &end, &why), 0);
	assert_int_equal(start, pack.length);
	assert_int_equal(end - start, 16 + 2 * 60);
}

static void a_pack_that_is_cut_is_corrupt(void **state)
{
	(void)state;
	struct pack pack = import(), bent = pack;
	struct why why = { 0 };
	struct seen seen = { 0 };
	bent.length -= 1; /* what follows is then no map */
	assert_int_equal(pack_file_read(&gateway, &bent, see, &seen, &why), ERR_CORRUPT);
	bent.length = (uint64_t)1 << 40;
	assert_int_equal(pack_file_read(&gateway, &bent, see, &seen, &why), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(objects_behind_deltas_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_ids_are_told_without_unpacking, set_up, tear_down),
		cmocka_unit_test_setup_teardown(parts_come_back_as_they_were, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_pack_that_is_cut_is_corrupt, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
