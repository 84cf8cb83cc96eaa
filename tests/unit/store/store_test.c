/* The store as its callers see it: what was pushed reads back, what is known is not stored twice, what is wrong is refused. */
#include "tests/unit/store/store_fixture.h"

#include <pthread.h>
#include <sys/uio.h>

#include "schemas/shard.h"
#include "store/core.h"
#include "store/digest.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* ------------------------------------------------------------------ content */

static void a_file_of_any_size_reads_back(void **state)
{
	(void)state;
	static const size_t lengths[] = { 0, 1, 8 * KIB - 1, 8 * KIB, 8 * KIB + 1, 64 * KIB, 128 * KIB, 128 * KIB + 1, 5 * MIB };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bytes bytes = bytes_random(lengths[i], i + 1);
		struct upload_result pushed = push(&ada, &bytes);
		struct file_info info;
		assert_content(&pushed.file, &bytes);
		assert_int_equal(store_file_info(store, &pushed.file, &info), 0);
		assert_true(info.length == bytes.length && info.has_sha256 && info.sha256_verified);
		free(bytes.data);
	}
	assert_sound();
}

static void the_empty_file_has_the_zero_hash(void **state)
{
	(void)state;
	struct bytes none = bytes_make(0);
	struct upload_result pushed = push(&ada, &none);
	uint8_t byte;
	assert_true(hash_is_zero(&pushed.file));
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
	assert_int_equal(try_read(&pushed.file, 0, UINT64_MAX, &byte, 1, 1), 0);
	assert_int_equal(try_read(&pushed.file, 1, 1, &byte, 1, 1), ERR_RANGE);
	free(none.data);
}

static void a_file_larger_than_a_xorb_and_a_volume_reads_back(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(70 * MIB, 7);
	struct upload_result pushed = push(&ada, &bytes);
	struct store_stats stats;
	store_stats(store, &stats);
	assert_true(stats.xorbs >= 2 && stats.volumes >= 2);
	assert_int_equal(stats.raw_bytes, bytes.length);
	assert_content(&pushed.file, &bytes);
	assert_range_in(&pushed.file, &bytes, 64 * MIB - 200 * KIB, 64 * MIB + 200 * KIB, 4096);
	free(bytes.data);
}

static void compressible_content_takes_less_room(void **state)
{
	(void)state;
	struct bytes bytes = bytes_make(3 * MIB);
	struct store_stats stats;
	for (size_t i = 0; i < bytes.length; i++)
		bytes.data[i] = (uint8_t)(i * i >> 13);
	struct upload_result pushed = push(&ada, &bytes);
	store_stats(store, &stats);
	assert_true(stats.stored_bytes < stats.raw_bytes);
	assert_content(&pushed.file, &bytes);
	assert_range_in(&pushed.file, &bytes, 100001, 2 * MIB + 3, 777);
	free(bytes.data);
}

static void the_hash_does_not_depend_on_how_bytes_arrive(void **state)
{
	(void)state;
	static const size_t pieces[] = { 1000, 4096, 65537, MIB, SIZE_MAX };
	struct bytes bytes = bytes_random(700 * KIB + 13, 3);
	struct upload_result first = push(&ada, &bytes);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct upload *upload = begin_upload(&ada);
		struct upload_result again = add_file_in(upload, &bytes, pieces[i]);
		end_upload(upload);
		assert_true(hash_equal(&again.file, &first.file));
		assert_memory_equal(&again.sha256, &first.sha256, HASH_BYTES);
		assert_int_equal(again.new_bytes, 0);
	}
	free(bytes.data);
}

static void every_range_reads_back_in_pieces_of_any_size(void **state)
{
	(void)state;
	static const size_t pieces[] = { 1, 13, 4096, 100000, SIZE_MAX };
	struct bytes bytes = bytes_random(600 * KIB, 4);
	struct upload_result pushed = push(&ada, &bytes);
	uint64_t seed = 1;
	for (int i = 0; i < 200; i++) {
		size_t start = random_next(&seed) % bytes.length, end = start + random_next(&seed) % (bytes.length - start + 1);
		size_t piece = pieces[i % 5];
		if (end - start > 64 * piece)
			end = start + 64 * piece;
		assert_range_in(&pushed.file, &bytes, start, end, piece);
	}
	assert_range_in(&pushed.file, &bytes, bytes.length - 1, bytes.length, 1);
	assert_range_in(&pushed.file, &bytes, bytes.length, bytes.length, 1);
	free(bytes.data);
}

static void a_range_outside_the_file_is_refused(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(1000, 5);
	struct upload_result pushed = push(&ada, &bytes);
	struct hash unknown = { "nothing" };
	uint8_t out[2000];
	assert_int_equal(try_read(&pushed.file, 1001, 2000, out, sizeof(out), 10), ERR_RANGE);
	assert_int_equal(try_read(&pushed.file, 500, 400, out, sizeof(out), 10), ERR_RANGE);
	assert_int_equal(try_read(&pushed.file, 400, UINT64_MAX, out, sizeof(out), 10), 600);
	assert_int_equal(try_read(&unknown, 0, 1, out, sizeof(out), 10), ERR_NOT_FOUND);
	free(bytes.data);
}

static void a_whole_file_is_read_up_to_a_limit(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(300000, 6);
	struct upload_result pushed = push(&ada, &bytes);
	struct buffer out;
	buffer_init(&out, bytes.length - 1);
	assert_int_equal(store_file_read_all(store, &pushed.file, &out, &why), ERR_TOO_BIG);
	buffer_fini(&out);
	buffer_init(&out, bytes.length);
	assert_ok(store_file_read_all(store, &pushed.file, &out, &why));
	assert_true(span_equal(buffer_span(&out), span_of(bytes.data, bytes.length)));
	buffer_fini(&out);
	free(bytes.data);
}

/* Not every file system tells what is in the page cache (tmpfs does not); without that there are no extents. */
static bool disk_tells_what_is_cached(void)
{
	char path[128], byte = 1;
	snprintf(path, sizeof(path), "%s/probe", store_dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct iovec vector = { &byte, 1 };
	assert_true(fd >= 0 && pwrite(fd, &byte, 1, 0) == 1);
	bool tells = preadv2(fd, &vector, 1, 0, RWF_NOWAIT) == 1;
	close(fd);
	return tells;
}

/* Extents where there are any, reads in between: the same bytes. */
static void extents_give_the_same_bytes_as_reads(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(2 * MIB, 8), got = bytes_make(2 * MIB);
	struct upload_result pushed = push(&ada, &bytes);
	struct file_reader *reader;
	size_t at = 0, by_extent = 0;
	assert_content(&pushed.file, &bytes); /* checked, and in the page cache */
	assert_ok(file_reader_open(&reader, store, &pushed.file, 100, UINT64_MAX, &why));
	while (at < bytes.length - 100) {
		int fd;
		uint64_t offset;
		size_t length;
		if (file_reader_next_extent(reader, 50000, &fd, &offset, &length) == 0) {
			assert_true(length > 0 && length <= 50000);
			assert_int_equal(pread(fd, got.data + at, length, (off_t)offset), length);
			by_extent += length;
			at += length;
			continue;
		}
		int64_t some = file_reader_read(reader, got.data + at, 3000, true, &why);
		assert_true(some > 0);
		at += (size_t)some;
	}
	assert_memory_equal(got.data, bytes.data + 100, at);
	assert_true(by_extent > 0 || !disk_tells_what_is_cached());
	assert_int_equal(file_reader_read(reader, got.data, 10, true, &why), 0);
	file_reader_close(reader);
	free(bytes.data);
	free(got.data);
}

static void a_reader_that_may_not_wait_reads_what_is_cached(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(300 * KIB, 9), got = bytes_make(300 * KIB);
	struct upload_result pushed = push(&ada, &bytes);
	struct file_reader *reader;
	size_t at = 0;
	assert_ok(file_reader_open(&reader, store, &pushed.file, 0, UINT64_MAX, &why));
	while (at < bytes.length) {
		int64_t some = file_reader_read(reader, got.data + at, 10000, false, &why);
		if (some == ERR_AGAIN)
			some = file_reader_read(reader, got.data + at, 10000, true, &why);
		assert_true(some > 0);
		at += (size_t)some;
	}
	assert_memory_equal(got.data, bytes.data, at);
	file_reader_close(reader);
	free(bytes.data);
	free(got.data);
}

/* ------------------------------------------------------------------ dedup */

static struct bytes edit(const struct bytes *from, uint64_t *seed)
{
	size_t cut = random_next(seed) % 3 == 0 ? random_next(seed) % 5000 : 0, grow = random_next(seed) % 3 == 0 ? random_next(seed) % 5000 : 0;
	size_t at = random_next(seed) % (from->length - cut);
	struct bytes out = bytes_make(from->length - cut + grow);
	memcpy(out.data, from->data, at);
	for (size_t i = 0; i < grow; i++)
		out.data[at + i] = (uint8_t)random_next(seed);
	memcpy(out.data + at + grow, from->data + at + cut, from->length - at - cut);
	out.data[random_next(seed) % out.length] ^= 1;
	return out;
}

static void an_edited_file_stores_few_new_bytes(void **state)
{
	(void)state;
	uint64_t seed = 11;
	struct bytes bytes = bytes_random(4 * MIB, 10);
	push(&ada, &bytes);
	for (int i = 0; i < 12; i++) {
		struct bytes edited = edit(&bytes, &seed);
		struct upload_result pushed = push(&ada, &edited);
		assert_true(pushed.new_bytes > 0 && pushed.new_bytes < MIB);
		assert_content(&pushed.file, &edited);
		free(bytes.data);
		bytes = edited;
	}
	free(bytes.data);
	assert_sound();
}

static void a_chunk_that_repeats_is_stored_once(void **state)
{
	(void)state;
	struct bytes bytes = bytes_make(8 * MIB); /* zeros: chunks of the largest size */
	struct upload_result pushed = push(&ada, &bytes);
	assert_int_equal(pushed.new_bytes, CHUNK_BYTES_MAX);
	assert_content(&pushed.file, &bytes);
	free(bytes.data);
}

static void files_of_one_upload_share_a_xorb_and_a_moment(void **state)
{
	(void)state;
	enum { FILES = 300 };
	struct upload *upload = begin_upload(&ada);
	struct bytes bytes[FILES];
	struct upload_result pushed[FILES];
	struct store_stats stats;
	for (size_t i = 0; i < FILES; i++) {
		bytes[i] = bytes_random(i * 37, 1000 + i);
		pushed[i] = add_file(upload, &bytes[i]);
	}
	for (size_t i = 0; i < FILES; i++)
		assert_int_equal(store_claim_check(store, &ada, &pushed[i].file), ERR_NOT_FOUND);
	end_upload(upload);
	for (size_t i = 0; i < FILES; i++) {
		assert_int_equal(store_claim_check(store, &ada, &pushed[i].file), 0);
		assert_content(&pushed[i].file, &bytes[i]);
		free(bytes[i].data);
	}
	store_stats(store, &stats);
	assert_int_equal(stats.files, FILES);
	assert_int_equal(stats.xorbs, 1);
}

static void the_same_file_twice_in_one_upload_is_one_file(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(200 * KIB, 12);
	struct upload *upload = begin_upload(&ada);
	struct upload_result first = add_file(upload, &bytes), second = add_file(upload, &bytes);
	end_upload(upload);
	struct store_stats stats;
	store_stats(store, &stats);
	assert_true(hash_equal(&first.file, &second.file));
	assert_int_equal(second.new_bytes, 0);
	assert_int_equal(stats.files, 1);
	assert_usage(&ada, 1, bytes.length);
	free(bytes.data);
}

static void what_is_not_committed_is_not_there(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(100 * KIB, 13), other = bytes_random(5000, 14);
	struct upload *upload = begin_upload(&ada);
	struct upload_result dropped = add_file(upload, &bytes);
	upload_close(upload);
	upload = begin_upload(&ada);
	assert_ok(upload_file_begin(upload, UINT64_MAX));
	assert_ok(upload_file_write(upload, bytes.data, bytes.length, &why));
	upload_file_abort(upload);
	struct upload_result kept = add_file(upload, &other);
	end_upload(upload);
	struct file_info info;
	assert_int_equal(store_file_info(store, &dropped.file, &info), ERR_NOT_FOUND);
	assert_content(&kept.file, &other);
	free(bytes.data);
	free(other.data);
}

static void git_names_are_computed_on_the_way(void **state)
{
	(void)state;
	struct upload *upload = begin_upload(&ada);
	struct upload_result out;
	char text[OID_TEXT_BYTES];
	assert_ok(upload_file_begin(upload, 6));
	assert_ok(upload_want_git_oid(upload, 6));
	assert_ok(upload_file_write(upload, "hello\n", 6, &why));
	assert_ok(upload_file_end(upload, &out, &why));
	end_upload(upload);
	hex_encode(text, out.git_oid.bytes, OID_BYTES);
	assert_string_equal(text, "ce013625030ba8dba906f756967f9e9ca394464a");
}

/* ------------------------------------------------------------------ claims and digests */

static void a_file_exists_only_for_those_who_brought_it(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(50000, 15);
	struct upload_result pushed = push(&ada, &bytes);
	struct file_info info;
	assert_int_equal(store_claim_check(store, &ada, &pushed.file), 0);
	assert_int_equal(store_claim_check(store, &bob, &pushed.file), ERR_NOT_FOUND);
	assert_int_equal(store_file_by_sha256(store, &ada, &pushed.sha256, &info), 0);
	assert_true(hash_equal(&info.file, &pushed.file) && info.sha256_verified);
	assert_int_equal(store_file_by_sha256(store, &bob, &pushed.sha256, &info), ERR_NOT_FOUND);
	assert_int_equal(store_file_by_sha256(store, NULL, &pushed.sha256, &info), 0);

	struct upload_result again = push(&bob, &bytes);
	assert_true(hash_equal(&again.file, &pushed.file));
	assert_int_equal(again.new_bytes, 0);
	assert_int_equal(store_claim_check(store, &bob, &pushed.file), 0);
	assert_int_equal(store_file_by_sha256(store, &bob, &pushed.sha256, &info), 0);
	assert_usage(&ada, 1, bytes.length);
	assert_usage(&bob, 1, bytes.length);
	free(bytes.data);
}

static void a_claim_can_be_given_on_what_exists_alone(void **state)
{
	(void)state;
	struct bytes bytes = bytes_random(100, 16);
	struct upload_result pushed = push(&ada, &bytes);
	struct hash unknown = { "nothing" };
	assert_int_equal(store_claim(store, &bob, &unknown, &why), ERR_NOT_FOUND);
	assert_ok(store_claim(store, &bob, &pushed.file, &why));
	assert_ok(store_claim(store, &bob, &pushed.file, &why));
	assert_int_equal(store_claim_check(store, &bob, &pushed.file), 0);
	assert_usage(&bob, 1, 100);
	free(bytes.data);
}

/* ------------------------------------------------------------------ xorbs and shards of clients */

enum { CLIENT_CHUNKS = 8, CLIENT_CHUNK_BYTES = 9000 };

/* A xorb as a client makes it, and the file that is all of it. */
struct client_xorb {
	struct bytes raw;
	struct buffer body;
	struct hash chunks[CLIENT_CHUNKS];
	struct hash hash, file;
	struct sha256 sha256;
};

static struct client_xorb make_xorb(uint64_t seed)
{
	struct client_xorb out = { .raw = bytes_random(CLIENT_CHUNKS * CLIENT_CHUNK_BYTES, seed) };
	struct merkle_node nodes[CLIENT_CHUNKS];
	memset(out.raw.data + 3 * CLIENT_CHUNK_BYTES, (int)seed, CLIENT_CHUNK_BYTES); /* one that compresses */
	buffer_init(&out.body, MIB);
	for (size_t i = 0; i < CLIENT_CHUNKS; i++) {
		const uint8_t *raw = out.raw.data + i * CLIENT_CHUNK_BYTES;
		uint8_t *to = buffer_reserve(&out.body, XORB_CHUNK_HEADER_BYTES + CLIENT_CHUNK_BYTES);
		out.body.length += xorb_chunk_encode(to, raw, CLIENT_CHUNK_BYTES);
		digest_chunk(&out.chunks[i], raw, CLIENT_CHUNK_BYTES);
		nodes[i] = (struct merkle_node){ out.chunks[i], CLIENT_CHUNK_BYTES };
	}
	digest_root(&out.hash, nodes, CLIENT_CHUNKS);
	digest_file(&out.file, &out.hash);
	crypto_hash_sha256(out.sha256.bytes, out.raw.data, out.raw.length);
	return out;
}

static void free_xorb(struct client_xorb *xorb)
{
	free(xorb->raw.data);
	buffer_fini(&xorb->body);
}

static int send_xorb_as(const struct client_xorb *xorb, const struct hash *name, size_t piece, bool *inserted)
{
	struct xorb_upload *upload;
	int err = xorb_upload_open(&upload, store, name, xorb->body.length, &why);
	if (err)
		return err;
	for (size_t at = 0; at < xorb->body.length && err == 0; at += piece)
		err = xorb_upload_write(upload, xorb->body.data + at, piece < xorb->body.length - at ? piece : xorb->body.length - at, &why);
	if (err == 0)
		err = xorb_upload_commit(upload, inserted, &why);
	xorb_upload_close(upload);
	return err;
}

static void send_xorb(const struct client_xorb *xorb)
{
	bool inserted;
	assert_ok(send_xorb_as(xorb, &xorb->hash, SIZE_MAX, &inserted));
}

/* What can be said wrong in a shard. */
struct shard_lies {
	bool file_hash, verification, sha256, xorb, no_verification;
	uint32_t chunk_end_more, raw_length_more, chunk_length_more;
};

static struct buffer make_shard(const struct client_xorb *xorb, const struct shard_lies *lies)
{
	struct buffer out;
	struct hash file = xorb->file, name = xorb->hash, verification;
	struct sha256 sha256 = xorb->sha256;
	struct shard_chunk chunks[CLIENT_CHUNKS];
	digest_verification(&verification, xorb->chunks, CLIENT_CHUNKS);
	file.bytes[3] ^= lies->file_hash;
	name.bytes[3] ^= lies->xorb;
	verification.bytes[3] ^= lies->verification;
	sha256.bytes[3] ^= lies->sha256;
	struct shard_term term = { name, (uint32_t)xorb->raw.length + lies->raw_length_more, 0, CLIENT_CHUNKS + lies->chunk_end_more };
	for (uint32_t i = 0; i < CLIENT_CHUNKS; i++)
		chunks[i] = (struct shard_chunk){ xorb->chunks[i], i * CLIENT_CHUNK_BYTES, CLIENT_CHUNK_BYTES + lies->chunk_length_more, 0 };
	buffer_init(&out, MIB);
	shard_write_header(&out, false);
	shard_write_file(&out, &file, &term, lies->no_verification ? NULL : &verification, 1, &sha256);
	shard_write_bookend(&out);
	shard_write_xorb(&out, &name, chunks, CLIENT_CHUNKS, (uint32_t)xorb->raw.length, (uint32_t)xorb->body.length);
	shard_write_bookend(&out);
	assert_false(out.failed);
	return out;
}

static int send_shard(const struct entity_id *owner, const struct client_xorb *xorb, const struct shard_lies *lies, int *registered)
{
	struct buffer shard = make_shard(xorb, lies);
	int err = store_shard_register(store, owner, buffer_span(&shard), NULL, registered, &why);
	buffer_fini(&shard);
	return err;
}

static const struct shard_lies no_lies;

/* A file of the first `count` chunks. */
static struct hash register_start(const struct entity_id *owner, const struct client_xorb *xorb, uint32_t count, const struct sha256 *sha256)
{
	struct buffer shard;
	struct hash verification, root, file;
	struct merkle_node nodes[CLIENT_CHUNKS];
	int registered;
	for (size_t i = 0; i < count; i++)
		nodes[i] = (struct merkle_node){ xorb->chunks[i], CLIENT_CHUNK_BYTES };
	digest_root(&root, nodes, count);
	digest_file(&file, &root);
	digest_verification(&verification, xorb->chunks, count);
	buffer_init(&shard, MIB);
	shard_write_header(&shard, false);
	shard_write_file(&shard, &file, &(struct shard_term){ xorb->hash, count * CLIENT_CHUNK_BYTES, 0, count }, &verification, 1, sha256);
	shard_write_bookend(&shard);
	shard_write_bookend(&shard);
	assert_ok(store_shard_register(store, owner, buffer_span(&shard), NULL, &registered, &why));
	assert_int_equal(registered, 1);
	buffer_fini(&shard);
	return file;
}

static void a_xorb_and_its_shard_make_a_file(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(20);
	struct file_info info;
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_int_equal(registered, 1);
	assert_content(&xorb.file, &xorb.raw);
	assert_int_equal(store_claim_check(store, &ada, &xorb.file), 0);
	assert_int_equal(store_claim_check(store, &bob, &xorb.file), ERR_NOT_FOUND);
	assert_int_equal(store_file_info(store, &xorb.file, &info), 0);
	assert_true(info.has_sha256 && !info.sha256_verified && info.length == xorb.raw.length && info.terms_count == 1);
	assert_sound();
	free_xorb(&xorb);
}

static void sending_a_xorb_or_a_shard_again_changes_nothing(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(21);
	struct store_stats before, after;
	bool inserted;
	int registered;
	assert_ok(send_xorb_as(&xorb, &xorb.hash, 1000, &inserted));
	assert_true(inserted);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	store_stats(store, &before);
	assert_ok(send_xorb_as(&xorb, &xorb.hash, 77, &inserted));
	assert_false(inserted);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_int_equal(registered, 0);
	store_stats(store, &after);
	assert_same_counts(&before, &after);
	assert_ok(send_shard(&bob, &xorb, &no_lies, &registered));
	assert_int_equal(registered, 1);
	free_xorb(&xorb);
}

static void a_xorb_that_is_not_what_its_name_says_is_refused(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(22);
	struct hash wrong = xorb.hash;
	struct xorb_info info;
	bool inserted;
	wrong.bytes[0] ^= 1;
	assert_int_equal(send_xorb_as(&xorb, &wrong, 1000, &inserted), ERR_CORRUPT);
	assert_int_equal(store_xorb_info(store, &wrong, &info), ERR_NOT_FOUND);
	xorb.body.data[XORB_CHUNK_HEADER_BYTES + 100] ^= 1;
	assert_int_equal(send_xorb_as(&xorb, &xorb.hash, 1000, &inserted), ERR_CORRUPT);
	assert_int_equal(store_xorb_info(store, &xorb.hash, &info), ERR_NOT_FOUND);
	xorb.body.data[XORB_CHUNK_HEADER_BYTES + 100] ^= 1;
	xorb.body.length -= 10;
	assert_int_equal(send_xorb_as(&xorb, &xorb.hash, 1000, &inserted), ERR_CORRUPT);
	free_xorb(&xorb);
}

static void a_body_of_another_length_than_announced_is_refused(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(23);
	struct xorb_upload *upload;
	bool inserted;
	assert_int_equal(xorb_upload_open(&upload, store, &xorb.hash, XORB_UPLOAD_BYTES_MAX + 1, &why), ERR_TOO_BIG);
	assert_ok(xorb_upload_open(&upload, store, &xorb.hash, xorb.body.length + 1, &why));
	assert_ok(xorb_upload_write(upload, xorb.body.data, xorb.body.length, &why));
	assert_int_equal(xorb_upload_commit(upload, &inserted, &why), ERR_INVALID);
	xorb_upload_close(upload);
	assert_ok(xorb_upload_open(&upload, store, &xorb.hash, xorb.body.length - 1, &why));
	assert_int_equal(xorb_upload_write(upload, xorb.body.data, xorb.body.length, &why), ERR_TOO_BIG);
	xorb_upload_close(upload);
	free_xorb(&xorb);
}

static void a_body_whose_length_nobody_announced_is_taken(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(51);
	struct xorb_upload *upload;
	bool inserted;
	assert_ok(xorb_upload_open(&upload, store, &xorb.hash, UINT64_MAX, &why));
	assert_ok(xorb_upload_write(upload, xorb.body.data, xorb.body.length - 1, &why));
	assert_int_equal(xorb_upload_commit(upload, &inserted, &why), ERR_CORRUPT); /* it ends inside a chunk */
	xorb_upload_close(upload);
	assert_ok(xorb_upload_open(&upload, store, &xorb.hash, UINT64_MAX, &why));
	assert_ok(xorb_upload_write(upload, xorb.body.data, xorb.body.length, &why));
	assert_ok(xorb_upload_commit(upload, &inserted, &why));
	assert_true(inserted);
	xorb_upload_close(upload);
	free_xorb(&xorb);
}

static void assert_shard_refused(const struct client_xorb *xorb, const struct shard_lies *lies)
{
	struct file_info info;
	int registered;
	assert_int_equal(send_shard(&ada, xorb, lies, &registered), ERR_INVALID);
	assert_true(why.text[0] != 0);
	assert_int_equal(store_file_info(store, &xorb->file, &info), ERR_NOT_FOUND);
	assert_int_equal(store_claim_check(store, &ada, &xorb->file), ERR_NOT_FOUND);
}

static void a_shard_that_says_something_wrong_registers_nothing(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(24);
	int registered;
	send_xorb(&xorb);
	assert_shard_refused(&xorb, &(struct shard_lies){ .file_hash = true });
	assert_shard_refused(&xorb, &(struct shard_lies){ .verification = true });
	assert_shard_refused(&xorb, &(struct shard_lies){ .no_verification = true });
	assert_shard_refused(&xorb, &(struct shard_lies){ .xorb = true });
	assert_shard_refused(&xorb, &(struct shard_lies){ .chunk_end_more = 1 });
	assert_shard_refused(&xorb, &(struct shard_lies){ .chunk_end_more = UINT32_MAX });
	assert_shard_refused(&xorb, &(struct shard_lies){ .raw_length_more = 1 });
	assert_shard_refused(&xorb, &(struct shard_lies){ .chunk_length_more = 1 });
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	free_xorb(&xorb);
}

static void a_shard_whose_xorb_was_never_sent_is_refused(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(25);
	assert_shard_refused(&xorb, &no_lies);
	free_xorb(&xorb);
}

static void bytes_that_are_no_shard_are_refused(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(26);
	struct buffer shard = make_shard(&xorb, &no_lies);
	int registered;
	send_xorb(&xorb);
	for (size_t length = 0; length < shard.length; length += 16)
		assert_true(store_shard_register(store, &ada, span_of(shard.data, length), NULL, &registered, &why) < 0);
	assert_usage(&ada, 0, 0);
	buffer_fini(&shard);
	free_xorb(&xorb);
}

/* Adds file number `i`: five chunks of the xorb, which ones the digits of the number say. */
static void add_numbered_file(struct buffer *shard, const struct client_xorb *xorb, uint32_t i, bool lie, const struct sha256 *sha256)
{
	enum { TERMS = 5 };
	struct shard_term terms[TERMS];
	struct hash verification[TERMS], root, file;
	struct merkle_node nodes[TERMS];
	for (uint32_t k = 0; k < TERMS; k++, i /= CLIENT_CHUNKS) {
		uint32_t chunk = i % CLIENT_CHUNKS;
		terms[k] = (struct shard_term){ xorb->hash, CLIENT_CHUNK_BYTES, chunk, chunk + 1 };
		digest_verification(&verification[k], &xorb->chunks[chunk], 1);
		nodes[k] = (struct merkle_node){ xorb->chunks[chunk], CLIENT_CHUNK_BYTES };
	}
	digest_root(&root, nodes, TERMS);
	digest_file(&file, &root);
	file.bytes[0] ^= lie;
	shard_write_file(shard, &file, terms, verification, TERMS, sha256);
}

/* More files than records are written at a time. */
static void a_shard_of_many_files_is_registered_whole_or_not_at_all(void **state)
{
	(void)state;
	enum { FILES = 24000 };
	struct client_xorb xorb = make_xorb(52);
	int registered;
	send_xorb(&xorb);
	for (int lie = 1; lie >= 0; lie--) {
		struct buffer shard;
		struct store_stats stats;
		buffer_init(&shard, SHARD_BYTES_MAX);
		shard_write_header(&shard, false);
		for (uint32_t i = 0; i < FILES; i++)
			add_numbered_file(&shard, &xorb, i, lie && i == FILES - 1, NULL);
		shard_write_bookend(&shard);
		shard_write_bookend(&shard);
		assert_false(shard.failed);
		int err = store_shard_register(store, &ada, buffer_span(&shard), NULL, &registered, &why);
		assert_int_equal(err, lie ? ERR_INVALID : 0);
		store_stats(store, &stats);
		assert_int_equal(stats.files, lie ? 0 : FILES);
		assert_usage(&ada, lie ? 0 : FILES, lie ? 0 : (uint64_t)FILES * 5 * CLIENT_CHUNK_BYTES);
		buffer_fini(&shard);
	}
	assert_sound();
	free_xorb(&xorb);
}

/* A few bytes of shard for a lot of hashing. */
static void a_shard_that_names_too_many_chunks_is_refused_before_any_is_hashed(void **state)
{
	(void)state;
	enum { TERMS = (1 << 27) / XORB_CHUNKS_MAX + 1 };
	struct hash none = { { 1 } };
	struct shard_term *terms = calloc(TERMS, sizeof(*terms));
	struct hash *verification = calloc(TERMS, sizeof(*verification));
	struct buffer shard;
	int registered;
	for (size_t i = 0; i < TERMS; i++)
		terms[i] = (struct shard_term){ none, XORB_CHUNKS_MAX, 0, XORB_CHUNKS_MAX };
	buffer_init(&shard, SHARD_BYTES_MAX);
	shard_write_header(&shard, false);
	shard_write_file(&shard, &none, terms, verification, TERMS, NULL);
	shard_write_bookend(&shard);
	shard_write_bookend(&shard);
	assert_int_equal(store_shard_register(store, &ada, buffer_span(&shard), NULL, &registered, &why), ERR_TOO_BIG);
	buffer_fini(&shard);
	free(verification);
	free(terms);
}

/* ------------------------------------------------------------------ digests that were only said */

static void a_digest_is_believed_after_the_bytes_were_read(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(27);
	struct file_info info;
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_false(info.sha256_verified);
	assert_ok(store_file_verify_sha256(store, &xorb.file, &xorb.sha256, NULL, &why));
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_true(info.sha256_verified);
	reopen_store();
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_true(info.sha256_verified);
	free_xorb(&xorb);
}

struct verification {
	const struct client_xorb *xorb;
	int err;
};

static void *verify(void *context)
{
	struct verification *verification = context;
	verification->err = store_file_verify_sha256(store, &verification->xorb->file, &verification->xorb->sha256, NULL, NULL);
	return NULL;
}

static void a_digest_is_not_noted_while_registrations_are_held_off(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(29);
	struct verification verification = { &xorb, 1 };
	struct file_info info;
	pthread_t thread;
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	pthread_rwlock_wrlock(&store->registration); /* as whoever empties a volume does, to know all records that are in it */
	assert_int_equal(pthread_create(&thread, NULL, verify, &verification), 0);
	usleep(200 * 1000);
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_false(info.sha256_verified);
	pthread_rwlock_unlock(&store->registration);
	pthread_join(thread, NULL);
	assert_int_equal(verification.err, 0);
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_true(info.sha256_verified);
	free_xorb(&xorb);
}

/* The same chunks, none of them compressed. */
static struct buffer plain_body(const struct client_xorb *xorb)
{
	struct buffer out;
	buffer_init(&out, MIB);
	for (size_t i = 0; i < CLIENT_CHUNKS; i++) {
		buffer_append(&out, xorb->body.data, XORB_CHUNK_HEADER_BYTES); /* the first does not compress */
		buffer_append(&out, xorb->raw.data + i * CLIENT_CHUNK_BYTES, CLIENT_CHUNK_BYTES);
	}
	assert_true(out.length > xorb->body.length);
	return out;
}

static void a_xorb_in_whose_place_another_copy_came_meanwhile_is_moved_as_it_is_now(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(30);
	struct buffer other = plain_body(&xorb);
	struct xorb_upload *upload;
	struct index_xorb entry;
	bool inserted;
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_content(&xorb.file, &xorb.raw); /* so its table is at hand, and stays there */
	damaged_list_add(&store->damaged, &xorb.hash);
	assert_ok(xorb_upload_open(&upload, store, &xorb.hash, other.length, &why));
	damaged_list_remove(&store->damaged, &xorb.hash);
	assert_ok(xorb_upload_write(upload, other.data, other.length, &why));
	assert_ok(xorb_upload_commit(upload, &inserted, &why));
	xorb_upload_close(upload);
	assert_true(inserted);
	assert_int_equal(index_xorb(store->index, &xorb.hash, &entry), 0);
	uint32_t volume = entry.place.volume;
	index_xorb_fini(&entry);

	volumes_roll(store->volumes);
	assert_ok(store_compact_volume(store, volume, &why));
	assert_int_equal(index_xorb(store->index, &xorb.hash, &entry), 0);
	assert_true(entry.place.volume != volume && entry.body_length == other.length);
	index_xorb_fini(&entry);
	assert_content(&xorb.file, &xorb.raw);
	assert_sound();
	assert_content(&xorb.file, &xorb.raw);
	buffer_fini(&other);
	free_xorb(&xorb);
}

static void a_lying_shard_is_found_out(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(28);
	struct sha256 lie = xorb.sha256;
	struct file_info info;
	int registered;
	lie.bytes[3] ^= 1;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &(struct shard_lies){ .sha256 = true }, &registered));
	assert_int_equal(store_file_verify_sha256(store, &xorb.file, &lie, NULL, &why), ERR_CORRUPT);
	assert_int_equal(store_file_by_sha256(store, &ada, &lie, &info), ERR_NOT_FOUND);
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	assert_true(info.sha256_verified);
	assert_int_equal(send_shard(&bob, &xorb, &(struct shard_lies){ .sha256 = true }, &registered), ERR_INVALID);
	assert_int_equal(store_claim_check(store, &bob, &xorb.file), ERR_NOT_FOUND);
	free_xorb(&xorb);
}

static void a_verified_file_is_preferred_to_one_that_only_says_so(void **state)
{
	(void)state;
	struct client_xorb liar = make_xorb(29);
	struct bytes honest = bytes_random(5000, 30);
	struct upload_result pushed = push(&ada, &honest);
	struct file_info info;
	int registered;
	liar.sha256 = pushed.sha256; /* another file under the same digest */
	send_xorb(&liar);
	assert_ok(send_shard(&ada, &liar, &no_lies, &registered));
	assert_int_equal(store_file_by_sha256(store, &ada, &pushed.sha256, &info), 0);
	assert_true(hash_equal(&info.file, &pushed.file) && info.sha256_verified);
	free(honest.data);
	free_xorb(&liar);
}

/* Whoever may only propose can say so of another file, in the same repository. */
static void a_lie_does_not_stand_in_the_way_of_the_truth(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(55);
	struct file_info info;
	int registered;
	send_xorb(&xorb);
	for (uint32_t count = 1; count < CLIENT_CHUNKS; count++)
		register_start(&ada, &xorb, count, &xorb.sha256);
	assert_int_equal(store_find_verified(store, &ada, &xorb.sha256, NULL, &info, &why), ERR_CORRUPT);
	assert_int_equal(store_find_verified(store, &ada, &xorb.sha256, NULL, &info, &why), ERR_NOT_FOUND); /* they are known for what they are */
	for (uint32_t count = 1; count < CLIENT_CHUNKS; count++)
		register_start(&bob, &xorb, count, NULL);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_ok(store_find_verified(store, &ada, &xorb.sha256, NULL, &info, &why));
	assert_true(hash_equal(&info.file, &xorb.file) && info.sha256_verified);
	struct client_xorb second = make_xorb(56);
	send_xorb(&second);
	for (uint32_t count = 1; count < CLIENT_CHUNKS; count++)
		register_start(&ada, &second, count, &second.sha256);
	assert_ok(send_shard(&ada, &second, &no_lies, &registered));
	assert_ok(store_find_verified(store, &ada, &second.sha256, NULL, &info, &why));
	assert_true(hash_equal(&info.file, &second.file) && info.sha256_verified);
	free_xorb(&xorb);
	free_xorb(&second);
}

/* Bob says of a thousand files that they have the digest of ada's. */
static void many_lies_stand_behind_the_truth(void **state)
{
	(void)state;
	enum { LIES = 1000 };
	struct client_xorb xorb = make_xorb(53), other = make_xorb(54);
	struct buffer shard;
	struct file_info info;
	struct hash files[2];
	int registered;
	send_xorb(&xorb);
	send_xorb(&other);
	buffer_init(&shard, SHARD_BYTES_MAX);
	shard_write_header(&shard, false);
	for (uint32_t i = 0; i < LIES; i++)
		add_numbered_file(&shard, &other, i, false, &xorb.sha256);
	shard_write_bookend(&shard);
	shard_write_bookend(&shard);
	assert_ok(store_shard_register(store, &bob, buffer_span(&shard), NULL, &registered, &why));
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_ok(store_file_by_sha256(store, &ada, &xorb.sha256, &info));
	assert_true(hash_equal(&info.file, &xorb.file) && !info.sha256_verified);
	assert_ok(store_file_verify_sha256(store, &xorb.file, &xorb.sha256, NULL, &why));
	assert_int_equal(store_files_with_sha256(store, &xorb.sha256, files, 2), 2);
	assert_true(hash_equal(&files[0], &xorb.file));
	assert_ok(store_file_by_sha256(store, NULL, &xorb.sha256, &info));
	assert_true(hash_equal(&info.file, &xorb.file) && info.sha256_verified);
	buffer_fini(&shard);
	free_xorb(&xorb);
	free_xorb(&other);
}

static void a_push_of_the_same_bytes_corrects_what_a_shard_said(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(31);
	struct bytes first_chunk = { xorb.raw.data, CLIENT_CHUNK_BYTES };
	struct file_info info;
	send_xorb(&xorb);
	struct hash file = register_start(&ada, &xorb, 1, &xorb.sha256); /* that is the digest of all chunks */
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), 0);
	struct upload_result pushed = push(&bob, &first_chunk);
	assert_true(hash_equal(&pushed.file, &file));
	assert_int_equal(store_file_by_sha256(store, &ada, &xorb.sha256, &info), ERR_NOT_FOUND);
	assert_int_equal(store_file_by_sha256(store, &ada, &pushed.sha256, &info), 0);
	assert_true(info.sha256_verified);
	free_xorb(&xorb);
}

/* ------------------------------------------------------------------ plans */

/* A plan's chunks, decoded and cut, are the range. */
static void assert_plan(const struct client_xorb *xorb, uint64_t start, uint64_t end)
{
	struct plan plan;
	assert_ok(store_plan(store, &xorb->file, start, end, &plan, &why));
	uint64_t clipped = end < xorb->raw.length ? end : xorb->raw.length;
	assert_true(plan.file_length == xorb->raw.length && plan.start == start && plan.end == clipped);
	assert_int_equal(plan.terms_count, 1);
	const struct plan_term *term = &plan.terms[0];
	assert_int_equal(term->chunk_start, start / CLIENT_CHUNK_BYTES);
	assert_int_equal(term->chunk_end, (clipped - 1) / CLIENT_CHUNK_BYTES + 1);
	assert_int_equal(term->raw_length, (term->chunk_end - term->chunk_start) * CLIENT_CHUNK_BYTES);
	assert_int_equal(plan.offset_into_first, start % CLIENT_CHUNK_BYTES);
	assert_true(term->body_start < term->body_end && term->body_end <= xorb->body.length);
	uint8_t raw[CLIENT_CHUNK_BYTES];
	struct xorb_chunk_header header;
	assert_ok(xorb_chunk_header_parse(&header, xorb->body.data + term->body_start, &why));
	assert_ok(xorb_chunk_decode(raw, &header, xorb->body.data + term->body_start + XORB_CHUNK_HEADER_BYTES, &why));
	assert_memory_equal(raw, xorb->raw.data + term->chunk_start * CLIENT_CHUNK_BYTES, CLIENT_CHUNK_BYTES);
	plan_fini(&plan);
}

static void a_plan_names_the_chunks_of_a_range(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(32);
	struct plan plan;
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_plan(&xorb, 0, UINT64_MAX);
	assert_plan(&xorb, 0, 1);
	assert_plan(&xorb, xorb.raw.length - 1, xorb.raw.length);
	for (uint64_t at = CLIENT_CHUNK_BYTES - 1; at < xorb.raw.length; at += CLIENT_CHUNK_BYTES - 1)
		for (uint64_t length = 1; length < 3 * CLIENT_CHUNK_BYTES; length += 4500)
			assert_plan(&xorb, at, at + length);
	assert_int_equal(store_plan(store, &xorb.file, xorb.raw.length, UINT64_MAX, &plan, &why), ERR_RANGE);
	assert_int_equal(store_plan(store, &xorb.hash, 0, 1, &plan, &why), ERR_NOT_FOUND);
	free_xorb(&xorb);
}

static void the_plan_of_the_empty_file_is_empty(void **state)
{
	(void)state;
	struct bytes none = bytes_make(0);
	struct upload_result pushed = push(&ada, &none);
	struct plan plan;
	assert_ok(store_plan(store, &pushed.file, 0, UINT64_MAX, &plan, &why));
	assert_int_equal(plan.terms_count, 0);
	plan_fini(&plan);
	assert_int_equal(store_plan(store, &pushed.file, 1, 2, &plan, &why), ERR_RANGE);
	free(none.data);
}

static void a_file_of_thousands_of_terms_reads_back(void **state)
{
	(void)state;
	enum { TERMS = 2600 };
	struct client_xorb xorb = make_xorb(34);
	struct buffer shard;
	struct shard_term terms[TERMS];
	struct hash verification[TERMS], root, file;
	struct merkle *merkle;
	send_xorb(&xorb);
	struct bytes expected = bytes_make((size_t)TERMS * CLIENT_CHUNK_BYTES);
	merkle_open(&merkle);
	for (uint32_t i = 0; i < TERMS; i++) { /* backwards, so that no term continues another */
		uint32_t chunk = CLIENT_CHUNKS - 1 - i % CLIENT_CHUNKS;
		terms[i] = (struct shard_term){ xorb.hash, CLIENT_CHUNK_BYTES, chunk, chunk + 1 };
		digest_verification(&verification[i], &xorb.chunks[chunk], 1);
		merkle_add(merkle, &xorb.chunks[chunk], CLIENT_CHUNK_BYTES);
		memcpy(expected.data + (size_t)i * CLIENT_CHUNK_BYTES, xorb.raw.data + (size_t)chunk * CLIENT_CHUNK_BYTES, CLIENT_CHUNK_BYTES);
	}
	merkle_root(merkle, &root);
	merkle_close(merkle);
	digest_file(&file, &root);
	buffer_init(&shard, MIB);
	shard_write_header(&shard, false);
	shard_write_file(&shard, &file, terms, verification, TERMS, NULL);
	shard_write_bookend(&shard);
	shard_write_bookend(&shard);
	int registered;
	assert_ok(store_shard_register(store, &ada, buffer_span(&shard), NULL, &registered, &why));
	assert_content(&file, &expected);
	assert_range_in(&file, &expected, 1024 * CLIENT_CHUNK_BYTES - 5, 1024 * CLIENT_CHUNK_BYTES + 5, 3);
	assert_range_in(&file, &expected, 2048 * CLIENT_CHUNK_BYTES, 2048 * CLIENT_CHUNK_BYTES + 5, 3);
	struct plan plan;
	assert_ok(store_plan(store, &file, 1023 * CLIENT_CHUNK_BYTES, 1026 * CLIENT_CHUNK_BYTES, &plan, &why));
	assert_int_equal(plan.terms_count, 3);
	plan_fini(&plan);
	assert_sound();
	buffer_fini(&shard);
	free(expected.data);
	free_xorb(&xorb);
}

/* ------------------------------------------------------------------ global dedup */

static bool sees(void *context, const struct entity_id *owner)
{
	return memcmp(context, owner, sizeof(*owner)) == 0;
}

enum { FOOTER_KEY = 72 }; /* where the footer of a shard has it */

/* Is `chunk` in the answer, under the answer's key? */
static bool answer_has(const struct buffer *answer, const struct hash *chunk)
{
	struct shard_reader reader;
	struct shard_xorb xorb;
	struct hash keyed;
	bool found = false;
	digest_keyed(&keyed, answer->data + answer->length - SHARD_FOOTER_BYTES + FOOTER_KEY, chunk);
	assert_ok(shard_open(&reader, buffer_span(answer), &why));
	while (shard_next_xorb(&reader, &xorb, &why) == 1)
		for (uint32_t i = 0; i < xorb.chunks_count; i++) {
			struct shard_chunk have;
			shard_chunk_at(&have, &xorb, i);
			found |= hash_equal(&have.hash, &keyed);
		}
	return found;
}

static int ask(const struct hash *chunk, const struct entity_id *who, struct buffer *answer)
{
	struct entity_id reader = *who;
	buffer_clear(answer);
	return store_dedup_query(store, chunk, sees, &reader, answer, &why);
}

static void a_dedup_answer_holds_what_lies_around_the_chunk(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(40);
	struct buffer answer;
	int registered;
	buffer_init(&answer, 8 * MIB);
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_ok(ask(&xorb.chunks[2], &ada, &answer));
	for (size_t i = 0; i < CLIENT_CHUNKS; i++)
		assert_true(answer_has(&answer, &xorb.chunks[i]));
	assert_false(answer_has(&answer, &xorb.file));
	assert_int_equal(ask(&xorb.file, &ada, &answer), ERR_NOT_FOUND); /* no such chunk */
	buffer_fini(&answer);
	free_xorb(&xorb);
}

static void a_chunk_that_only_others_use_is_not_answered(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(41);
	struct buffer answer;
	int registered;
	buffer_init(&answer, 8 * MIB);
	send_xorb(&xorb);
	assert_int_equal(ask(&xorb.chunks[0], &ada, &answer), ERR_NOT_FOUND); /* no file uses it */
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	assert_int_equal(ask(&xorb.chunks[0], &bob, &answer), ERR_NOT_FOUND);
	assert_ok(ask(&xorb.chunks[0], &ada, &answer));
	assert_ok(store_claim(store, &bob, &xorb.file, &why));
	assert_ok(ask(&xorb.chunks[0], &bob, &answer));
	buffer_fini(&answer);
	free_xorb(&xorb);
}

/* Two files in one xorb, of which bob may see one. */
static void chunks_of_invisible_files_are_hidden_in_an_answer(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(42);
	struct buffer answer;
	int registered;
	buffer_init(&answer, 8 * MIB);
	send_xorb(&xorb);
	assert_ok(send_shard(&ada, &xorb, &no_lies, &registered));
	register_start(&bob, &xorb, 3, NULL);
	assert_ok(ask(&xorb.chunks[1], &bob, &answer));
	for (size_t i = 0; i < CLIENT_CHUNKS; i++)
		assert_int_equal(answer_has(&answer, &xorb.chunks[i]), i < 3);
	assert_int_equal(ask(&xorb.chunks[5], &bob, &answer), ERR_NOT_FOUND);
	buffer_fini(&answer);
	free_xorb(&xorb);
}

/* ------------------------------------------------------------------ reading xorbs */

static int64_t read_xorb(const struct hash *xorb, uint64_t start, uint64_t end, uint8_t *out, size_t capacity, size_t piece)
{
	struct xorb_reader *reader;
	int64_t some, total = 0;
	int err = xorb_reader_open(&reader, store, xorb, start, end, &why);
	if (err)
		return err;
	while ((some = xorb_reader_read(reader, out + total, piece < capacity - (size_t)total ? piece : capacity - (size_t)total, true, &why)) > 0)
		total += some;
	xorb_reader_close(reader);
	return some < 0 ? some : total;
}

static int64_t read_xorb_by_runs(const struct hash *xorb, uint64_t start, uint64_t end, uint8_t *out, size_t capacity, bool here)
{
	struct xorb_reader *reader;
	struct span run;
	size_t total = 0;
	int err = here ? xorb_reader_open_here(&reader, store, xorb, start, end, &why) : xorb_reader_open(&reader, store, xorb, start, end, &why);
	if (err)
		return err;
	while ((err = xorb_reader_run(reader, true, &run, &why)) == 0 && run.length > 0 && run.length <= capacity - total) {
		memcpy(out + total, run.data, run.length);
		total += run.length;
	}
	xorb_reader_close(reader);
	return err ? err : (int64_t)total;
}

static void every_range_of_a_stored_xorb_reads_back(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(43);
	struct bytes got = bytes_make(xorb.body.length + 1);
	struct xorb_info info;
	uint64_t seed = 5;
	send_xorb(&xorb);
	assert_int_equal(store_xorb_info(store, &xorb.hash, &info), 0);
	assert_int_equal(info.body_length, xorb.body.length);
	assert_int_equal(info.chunks_count, CLIENT_CHUNKS);
	assert_int_equal(info.raw_length, xorb.raw.length);
	assert_int_equal(read_xorb(&xorb.hash, 0, UINT64_MAX, got.data, got.length, SIZE_MAX), xorb.body.length);
	assert_memory_equal(got.data, xorb.body.data, xorb.body.length);
	for (int i = 0; i < 100; i++) {
		size_t start = random_next(&seed) % xorb.body.length, end = start + 1 + random_next(&seed) % (xorb.body.length - start);
		assert_int_equal(read_xorb(&xorb.hash, start, end, got.data, got.length, i % 2 ? 333 : SIZE_MAX), end - start);
		assert_memory_equal(got.data, xorb.body.data + start, end - start);
		memset(got.data, 0, end - start);
		assert_int_equal(read_xorb_by_runs(&xorb.hash, start, end, got.data, got.length, i % 2), end - start);
		assert_memory_equal(got.data, xorb.body.data + start, end - start);
	}
	assert_int_equal(read_xorb(&xorb.hash, xorb.body.length, UINT64_MAX, got.data, got.length, 1), ERR_RANGE);
	assert_int_equal(read_xorb(&xorb.file, 0, 1, got.data, got.length, 1), ERR_NOT_FOUND);
	free(got.data);
	free_xorb(&xorb);
}

/* Nodes send each other what they will not send again soon. */
static void what_other_nodes_get_is_read_past_the_page_cache(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(44);
	struct bytes got = bytes_make(xorb.body.length + 1);
	char path[128];
	uint64_t seed = 6;
	store_config.direct_io = true;
	reopen_store();
	send_xorb(&xorb);
	for (int i = 0; i < 100; i++) {
		size_t start = random_next(&seed) % xorb.body.length, end = start + 1 + random_next(&seed) % (xorb.body.length - start);
		memset(got.data, 0, end - start);
		assert_int_equal(read_xorb_by_runs(&xorb.hash, start, end, got.data, got.length, true), end - start);
		assert_memory_equal(got.data, xorb.body.data + start, end - start);
	}
	/* Bytes that are only in the page cache yet count. */
	snprintf(path, sizeof(path), "%s/volumes/00000001.vol", store_dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;
	off_t middle = (off_t)(xorb.body.length / 2);
	assert_int_equal(pread(fd, &byte, 1, middle), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, middle), 1);
	assert_int_equal(read_xorb_by_runs(&xorb.hash, 0, UINT64_MAX, got.data, got.length, true), ERR_CORRUPT);
	close(fd);
	free(got.data);
	free_xorb(&xorb);
}

static void extents_of_a_xorb_are_its_bytes(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(44);
	struct bytes got = bytes_make(xorb.body.length + 1);
	struct xorb_reader *reader;
	size_t at = 0, by_extent = 0, length;
	int fd;
	uint64_t offset;
	send_xorb(&xorb);
	assert_int_equal(read_xorb(&xorb.hash, 0, UINT64_MAX, got.data, got.length, SIZE_MAX), xorb.body.length);
	memset(got.data, 0, got.length);
	assert_ok(xorb_reader_open(&reader, store, &xorb.hash, 5, UINT64_MAX, &why));
	while (at < xorb.body.length - 5) {
		if (xorb_reader_next_extent(reader, 7000, &fd, &offset, &length) == 0) {
			assert_int_equal(pread(fd, got.data + at, length, (off_t)offset), length);
			by_extent += length;
		} else {
			int64_t some = xorb_reader_read(reader, got.data + at, 1000, true, &why);
			assert_true(some > 0);
			length = (size_t)some;
		}
		at += length;
	}
	assert_memory_equal(got.data, xorb.body.data + 5, at);
	assert_true(by_extent > 0 || !disk_tells_what_is_cached());
	xorb_reader_close(reader);
	free(got.data);
	free_xorb(&xorb);
}

static void a_chunk_table_says_what_was_sent(void **state)
{
	(void)state;
	struct client_xorb xorb = make_xorb(45);
	struct xorb_table *table;
	send_xorb(&xorb);
	assert_ok(store_xorb_table(store, &xorb.hash, &table, &why));
	assert_true(hash_equal(&table->xorb, &xorb.hash));
	assert_int_equal(table->count, CLIENT_CHUNKS);
	for (uint32_t i = 0; i < CLIENT_CHUNKS; i++) {
		assert_true(hash_equal(&table->chunks[i].hash, &xorb.chunks[i]));
		assert_int_equal(table->chunks[i].raw_end, (i + 1) * CLIENT_CHUNK_BYTES);
	}
	assert_int_equal(table->chunks[CLIENT_CHUNKS - 1].body_end, xorb.body.length);
	xorb_table_release(table);
	assert_int_equal(store_xorb_table(store, &xorb.file, &table, &why), ERR_NOT_FOUND);
	free_xorb(&xorb);
}

/* ------------------------------------------------------------------ git objects */

static void git_objects_are_kept_for_each_repository(void **state)
{
	(void)state;
	struct oid oids[3] = { { "commit" }, { "blob" }, { "pointer" } };
	struct git_object out, objects[3] = {
		{ .type = 1, .length = 11, .payload = span_text("tree of life") },
		{ .type = 3, .length = 1 << 20, .file = { "a file" } },
		{ .type = 3, .is_lfs_pointer = true, .length = 7, .sha256 = { "digest" }, .lfs_length = UINT64_C(1) << 40, .payload = span_text("version") },
	};
	assert_int_equal(store_git_put(store, &ada, oids, objects, 3), 0);
	assert_int_equal(store_git_get(store, &ada, &oids[0], &out), 0);
	assert_true(out.type == 1 && out.length == 11 && span_equal(out.payload, objects[0].payload));
	free((void *)out.payload.data);
	assert_int_equal(store_git_get(store, &ada, &oids[1], &out), 0);
	assert_true(out.type == 3 && !out.is_lfs_pointer && hash_equal(&out.file, &objects[1].file) && !out.payload.data);
	assert_int_equal(store_git_get(store, &ada, &oids[2], &out), 0);
	assert_true(out.is_lfs_pointer && out.lfs_length == UINT64_C(1) << 40 && span_equal(out.payload, objects[2].payload));
	free((void *)out.payload.data);
	assert_int_equal(store_git_get(store, &bob, &oids[0], &out), ERR_NOT_FOUND);
}

static void payloads_of_every_kind_come_back_as_they_were(void **state)
{
	(void)state;
	const size_t lengths[] = { 0, 1, 199, 200, 201, 5000, 300000 };
	struct bytes noise = bytes_random(300000, 7), text = bytes_make(300000);
	for (size_t i = 0; i < text.length; i++)
		text.data[i] = (uint8_t)("100644 file-"[i % 12] + i / 4096 % 3);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int kind = 0; kind < 2; kind++) {
			struct oid oid = { { 1, (uint8_t)i, (uint8_t)kind } };
			struct git_object out, object = { .type = 2, .length = lengths[i], .payload = span_of(kind ? noise.data : text.data, lengths[i]) };
			assert_int_equal(store_git_put(store, &ada, &oid, &object, 1), 0);
			assert_int_equal(store_git_get(store, &ada, &oid, &out), 0);
			assert_true(out.length == lengths[i] && span_equal(out.payload, object.payload));
			free((void *)out.payload.data);
		}
	}
	free(noise.data);
	free(text.data);
}

static void dropping_a_repository_leaves_its_neighbours(void **state)
{
	(void)state;
	struct entity_id last = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct oid oids[2] = { { { 0 } }, { { 0xff, 0xff } } };
	struct git_object found[2], objects[2] = { { .type = 3, .length = 1 }, { .type = 3, .length = 2 } };
	bool have[2];
	assert_int_equal(store_git_put(store, &ada, oids, objects, 2), 0);
	assert_int_equal(store_git_put(store, &bob, oids, objects, 2), 0);
	assert_int_equal(store_git_put(store, &last, oids, objects, 2), 0);
	assert_int_equal(store_git_drop(store, &ada), 0);
	assert_int_equal(store_git_drop(store, &last), 0);
	assert_int_equal(store_git_get_many(store, &ada, oids, 2, found, have), 0);
	assert_true(!have[0] && !have[1]);
	assert_int_equal(store_git_get_many(store, &last, oids, 2, found, have), 0);
	assert_true(!have[0] && !have[1]);
	assert_int_equal(store_git_get_many(store, &bob, oids, 2, found, have), 0);
	assert_true(have[0] && have[1] && found[1].length == 2);
}

/* ------------------------------------------------------------------ numbers */

static void counters_are_what_counting_again_gives(void **state)
{
	(void)state;
	uint64_t logical = 0;
	for (uint64_t i = 0; i < 20; i++) {
		struct bytes bytes = bytes_random(1000 + i * 9999, i / 2 * 2 + 50);
		push(i % 3 ? &ada : &bob, &bytes);
		push(&ada, &bytes);
		logical += bytes.length * (i % 3 ? 1 : 2);
		free(bytes.data);
	}
	struct client_xorb xorb = make_xorb(60);
	int registered;
	send_xorb(&xorb);
	assert_ok(send_shard(&bob, &xorb, &no_lies, &registered));
	logical += xorb.raw.length;
	struct store_stats before, after;
	uint64_t ada_files, ada_bytes, bob_files, bob_bytes;
	store_stats(store, &before);
	store_owner_usage(store, &ada, &ada_files, &ada_bytes);
	store_owner_usage(store, &bob, &bob_files, &bob_bytes);
	assert_int_equal(ada_files, 20);
	assert_int_equal(bob_files, 8);
	assert_int_equal(before.logical_bytes, logical);
	assert_int_equal(ada_bytes + bob_bytes, logical);
	assert_true(before.acknowledged >= 29 && before.syncs > 0);
	after = recount();
	assert_same_counts(&before, &after);
	assert_usage(&ada, ada_files, ada_bytes);
	assert_usage(&bob, bob_files, bob_bytes);
	free_xorb(&xorb);
}

/* ---- many threads ---- */

enum { PUSHERS = 4, PUSHES = 10 };

struct pusher {
	pthread_t thread;
	const struct bytes *files; /* PUSHES of them, the same for all */
	int err;
};

static void *push_all(void *argument)
{
	struct pusher *pusher = argument;
	for (size_t i = 0; i < PUSHES && pusher->err == 0; i++) {
		struct upload *upload;
		struct upload_result out;
		pusher->err = upload_open(&upload, store, &ada, NULL);
		if (pusher->err)
			break;
		pusher->err = upload_file_begin(upload, UINT64_MAX);
		if (pusher->err == 0)
			pusher->err = upload_file_write(upload, pusher->files[i].data, pusher->files[i].length, NULL);
		if (pusher->err == 0)
			pusher->err = upload_file_end(upload, &out, NULL);
		if (pusher->err == 0)
			pusher->err = upload_commit(upload, NULL);
		upload_close(upload);
	}
	return NULL;
}

static void the_same_files_pushed_at_once_are_counted_once(void **state)
{
	(void)state;
	struct bytes files[PUSHES];
	struct pusher pushers[PUSHERS];
	struct store_stats before, after;
	uint64_t bytes = 0;
	for (size_t i = 0; i < PUSHES; i++) {
		files[i] = bytes_random(20000 + 30000 * i, 500 + i);
		bytes += files[i].length;
	}
	for (size_t i = 0; i < PUSHERS; i++) {
		pushers[i] = (struct pusher){ .files = files };
		assert_int_equal(pthread_create(&pushers[i].thread, NULL, push_all, &pushers[i]), 0);
	}
	for (size_t i = 0; i < PUSHERS; i++) {
		pthread_join(pushers[i].thread, NULL);
		assert_int_equal(pushers[i].err, 0);
	}
	store_stats(store, &before);
	assert_int_equal(before.files, PUSHES);
	assert_int_equal(before.logical_bytes, bytes);
	assert_usage(&ada, PUSHES, bytes);
	after = recount();
	assert_same_counts(&before, &after);
	for (size_t i = 0; i < PUSHES; i++)
		free(files[i].data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_file_of_any_size_reads_back),
		TEST(the_empty_file_has_the_zero_hash),
		TEST(a_file_larger_than_a_xorb_and_a_volume_reads_back),
		TEST(compressible_content_takes_less_room),
		TEST(the_hash_does_not_depend_on_how_bytes_arrive),
		TEST(every_range_reads_back_in_pieces_of_any_size),
		TEST(a_range_outside_the_file_is_refused),
		TEST(a_whole_file_is_read_up_to_a_limit),
		TEST(extents_give_the_same_bytes_as_reads),
		TEST(a_reader_that_may_not_wait_reads_what_is_cached),
		TEST(an_edited_file_stores_few_new_bytes),
		TEST(a_chunk_that_repeats_is_stored_once),
		TEST(files_of_one_upload_share_a_xorb_and_a_moment),
		TEST(the_same_file_twice_in_one_upload_is_one_file),
		TEST(what_is_not_committed_is_not_there),
		TEST(git_names_are_computed_on_the_way),
		TEST(a_file_exists_only_for_those_who_brought_it),
		TEST(a_claim_can_be_given_on_what_exists_alone),
		TEST(a_xorb_and_its_shard_make_a_file),
		TEST(sending_a_xorb_or_a_shard_again_changes_nothing),
		TEST(a_xorb_that_is_not_what_its_name_says_is_refused),
		TEST(a_body_of_another_length_than_announced_is_refused),
		TEST(a_body_whose_length_nobody_announced_is_taken),
		TEST(a_shard_that_says_something_wrong_registers_nothing),
		TEST(a_shard_whose_xorb_was_never_sent_is_refused),
		TEST(bytes_that_are_no_shard_are_refused),
		TEST(a_shard_of_many_files_is_registered_whole_or_not_at_all),
		TEST(a_shard_that_names_too_many_chunks_is_refused_before_any_is_hashed),
		TEST(a_digest_is_believed_after_the_bytes_were_read),
		TEST(a_digest_is_not_noted_while_registrations_are_held_off),
		TEST(a_xorb_in_whose_place_another_copy_came_meanwhile_is_moved_as_it_is_now),
		TEST(a_lying_shard_is_found_out),
		TEST(a_verified_file_is_preferred_to_one_that_only_says_so),
		TEST(a_lie_does_not_stand_in_the_way_of_the_truth),
		TEST(many_lies_stand_behind_the_truth),
		TEST(a_push_of_the_same_bytes_corrects_what_a_shard_said),
		TEST(a_plan_names_the_chunks_of_a_range),
		TEST(the_plan_of_the_empty_file_is_empty),
		TEST(a_file_of_thousands_of_terms_reads_back),
		TEST(a_dedup_answer_holds_what_lies_around_the_chunk),
		TEST(a_chunk_that_only_others_use_is_not_answered),
		TEST(chunks_of_invisible_files_are_hidden_in_an_answer),
		TEST(every_range_of_a_stored_xorb_reads_back),
		TEST(what_other_nodes_get_is_read_past_the_page_cache),
		TEST(extents_of_a_xorb_are_its_bytes),
		TEST(a_chunk_table_says_what_was_sent),
		TEST(git_objects_are_kept_for_each_repository),
		TEST(payloads_of_every_kind_come_back_as_they_were),
		TEST(dropping_a_repository_leaves_its_neighbours),
		TEST(counters_are_what_counting_again_gives),
		TEST(the_same_files_pushed_at_once_are_counted_once),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
