/* upload.c - bytes that the server chunks: hashed, cut, looked up, packed into xorbs, registered as files.
 *
 * Whatever is new goes into the upload's open xorb, which is sealed when full; a sealed xorb is published at once, since chunks are no
 * secret of their own. Files become visible together, with upload_commit. */
#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/core.h"
#include "store/digest.h"
#include "store/open_xorb.h"
#include "store/sha256.h"

enum {
	SLICE_BYTES = 1 << 20, /* looked up together */
	SLICE_CUTS_MAX = SLICE_BYTES / CHUNK_BYTES_MIN + 2,
	KNOWN_XORBS = 8,       /* remembered as existing */
	FILE_TERMS_MAX = (VOLUME_PAYLOAD_BYTES_MAX - FILE_BLOCK_BYTES) / (FILE_RECORD_TERM_BYTES + 1), /* its record has room for them */
};

/* A term whose xorb may not be sealed yet. */
struct upload_term {
	struct file_term term;
	uint32_t local; /* 1 + ordinal of one of the upload's own xorbs; 0: term.xorb is known */
};

struct upload_file {
	struct hash file;
	struct sha256 sha256;
	uint64_t length;
	uint32_t terms_first, terms_count; /* in upload.terms */
	bool settled;                      /* it was known, and what it is read by has its copies */
};

struct upload {
	struct store *store;
	struct entity_id owner;
	struct upload_entry entry;
	struct leans leans; /* what is known, and sealed */
	struct upload_entry naming;
	bool is_naming;     /* since its first commit: whoever owns it may be about to name what it brought */

	struct open_xorb xorb;
	uint32_t xorbs_sealed;
	struct hash *sealed; /* by ordinal */
	size_t sealed_capacity;
	struct hash known[KNOWN_XORBS];
	unsigned known_next;

	struct upload_term *terms;
	size_t terms_count, terms_capacity;
	struct upload_file *files;
	size_t files_count, files_capacity;

	/* the file that is open */
	bool file_open;
	uint64_t length_hint, length, new_bytes;
	size_t terms_first;
	struct chunker chunker;
	struct sha256_state sha256;
	struct merkle *merkle;
	EVP_MD_CTX *git;
	bool git_wanted;
	uint8_t *pending; /* CHUNK_BYTES_MAX: the open chunk's bytes from earlier calls */
	size_t pending_length;

	/* seals on their way */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned seals_pending;
	int seal_err;
	struct why seal_why;
};

/* ------------------------------------------------------------------ opening and closing */

int upload_open(struct upload **out, struct store *store, const struct entity_id *owner, struct why *why)
{
	struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload || open_xorb_init(&upload->xorb, store->writer) != 0) {
		free(upload);
		return why_set(why, ERR_NO_MEMORY, "no memory for an upload");
	}
	upload->store = store;
	upload->owner = *owner;
	pthread_mutex_init(&upload->lock, NULL);
	pthread_cond_init(&upload->changed, NULL);
	leans_init(&upload->leans);
	upload->entry = (struct upload_entry){ .first_volume = volumes_active(store->volumes), .leans = &upload->leans };
	upload_list_add(&store->uploads, &upload->entry);
	*out = upload;
	return 0;
}

static int wait_for_seals(struct upload *upload, struct why *why)
{
	pthread_mutex_lock(&upload->lock);
	while (upload->seals_pending > 0)
		pthread_cond_wait(&upload->changed, &upload->lock);
	int err = upload->seal_err;
	pthread_mutex_unlock(&upload->lock);
	return err ? why_set(why, err, "%s", upload->seal_why.text) : 0;
}

void upload_close(struct upload *upload)
{
	if (!upload)
		return;
	wait_for_seals(upload, NULL);
	upload_file_abort(upload);
	open_xorb_fini(&upload->xorb);
	upload_list_remove(&upload->store->uploads, &upload->entry);
	if (upload->is_naming)
		store_naming_end(upload->store, &upload->naming);
	leans_fini(&upload->leans);
	EVP_MD_CTX_free(upload->git);
	free(upload->pending);
	free(upload->sealed);
	free(upload->terms);
	free(upload->files);
	pthread_mutex_destroy(&upload->lock);
	pthread_cond_destroy(&upload->changed);
	free(upload);
}

/* Makes room for one more element. */
static int grow(void **array, size_t *capacity, size_t count, size_t element_bytes)
{
	if (count < *capacity)
		return 0;
	size_t more = *capacity ? 2 * *capacity : 8;
	void *grown = realloc(*array, more * element_bytes);
	if (!grown)
		return ERR_NO_MEMORY;
	*array = grown;
	*capacity = more;
	return 0;
}

/* ------------------------------------------------------------------ sealing in passing */

struct seal {
	struct journal_operation operation; /* first */
	struct xorb_records sealed;
	struct upload *upload;
};

static void seal_done(struct journal_operation *operation, int err, const struct why *why)
{
	struct seal *seal = (struct seal *)operation;
	struct upload *upload = seal->upload;
	xorb_records_fini(&seal->sealed);
	free(seal);
	pthread_mutex_lock(&upload->lock);
	upload->seals_pending--;
	if (err && !upload->seal_err) {
		upload->seal_err = err;
		upload->seal_why = *why;
	}
	pthread_cond_signal(&upload->changed); /* under the lock: the upload may go right after */
	pthread_mutex_unlock(&upload->lock);
}

/* Chunks that files of this upload lean on are lost with the xorb that was to hold them: nothing of it can be committed any more. */
static void spoil(struct upload *upload, int err, const struct why *why)
{
	pthread_mutex_lock(&upload->lock);
	if (!upload->seal_err) {
		upload->seal_err = err;
		why_set(&upload->seal_why, err, "%s", why ? why->text : "an earlier write of this upload failed");
	}
	pthread_mutex_unlock(&upload->lock);
}

static int note_sealed(struct upload *upload, const struct hash *xorb)
{
	if (grow((void **)&upload->sealed, &upload->sealed_capacity, upload->xorbs_sealed, sizeof(struct hash)) != 0)
		return ERR_NO_MEMORY;
	upload->sealed[upload->xorbs_sealed++] = *xorb;
	return 0;
}

static int seal_full_xorb(struct upload *upload, struct why *why)
{
	struct hash xorb;
	struct seal *seal = calloc(1, sizeof(*seal));
	int err = seal ? wait_for_seals(upload, why) : why_set(why, ERR_NO_MEMORY, "no memory to close a xorb");
	if (err == 0)
		err = open_xorb_seal(&upload->xorb, &upload->store->damaged, &xorb, &seal->sealed, why);
	if (err) {
		free(seal);
		return err;
	}
	if (note_sealed(upload, &xorb) != 0 || !leans_add(&upload->leans, &xorb)) {
		xorb_records_fini(&seal->sealed);
		free(seal);
		return why_set(why, ERR_NO_MEMORY, "no memory to close a xorb");
	}
	seal->upload = upload;
	seal->operation = (struct journal_operation){ .records = seal->sealed.records, .count = seal->sealed.count, .done = seal_done };
	upload->seals_pending++; /* none is pending: nobody else looks */
	journal_submit(upload->store->journal, &seal->operation);
	return 0;
}

/* ------------------------------------------------------------------ chunks */

/* Adds a chunk to the open file's terms, as part of the last one where it continues it. */
static int add_term(struct upload *upload, const struct hash *xorb, uint32_t local, uint32_t chunk, uint32_t raw_length)
{
	struct upload_term *last = upload->terms_count > upload->terms_first ? &upload->terms[upload->terms_count - 1] : NULL;
	if (last && last->local == local && last->term.chunk_end == chunk && (local || hash_equal(&last->term.xorb, xorb)) &&
		last->term.raw_length <= UINT32_MAX - raw_length) {
		last->term.chunk_end++;
		last->term.raw_length += raw_length;
		return 0;
	}
	if (upload->terms_count - upload->terms_first == FILE_TERMS_MAX)
		return ERR_TOO_BIG;
	if (grow((void **)&upload->terms, &upload->terms_capacity, upload->terms_count, sizeof(struct upload_term)) != 0)
		return ERR_NO_MEMORY;
	struct upload_term *term = &upload->terms[upload->terms_count++];
	*term = (struct upload_term){ .local = local, .term = { .raw_length = raw_length, .chunk_start = chunk, .chunk_end = chunk + 1 } };
	if (!local)
		term->term.xorb = *xorb;
	return 0;
}

/* A stored xorb that this upload may lean on: it is there, and nobody drops it while the upload is under way. */
static bool may_use(struct upload *upload, const struct hash *xorb)
{
	for (unsigned i = 0; i < KNOWN_XORBS; i++)
		if (hash_equal(&upload->known[i], xorb))
			return true;
	struct index_xorb entry;
	if (!leans_add(&upload->leans, xorb) || !store_may_lean_on(upload->store, xorb) || condemned_has(&upload->store->leaving, xorb))
		return false; /* added first: upload_list.h */
	int err = index_xorb(upload->store->index, xorb, &entry);
	index_xorb_fini(&entry);
	if (err)
		return false;
	upload->known[upload->known_next++ % KNOWN_XORBS] = *xorb;
	return true;
}

static int take_chunk(struct upload *upload, const struct hash *hash, const uint8_t *raw, size_t length, const struct index_chunk *found,
	uint64_t more, struct why *why)
{
	int err = 0;
	merkle_add(upload->merkle, hash, length);
	if (found->found && found->raw_length == length && may_use(upload, &found->xorb)) {
		err = add_term(upload, &found->xorb, 0, found->chunk_index, (uint32_t)length);
	} else {
		uint32_t chunk = open_xorb_find(&upload->xorb, hash);
		if (chunk == UINT32_MAX) {
			if (open_xorb_is_full(&upload->xorb, length))
				err = seal_full_xorb(upload, why);
			if (err == 0)
				err = open_xorb_add(&upload->xorb, hash, raw, length, more, why);
			if (err) {
				spoil(upload, err, why);
				return err;
			}
			chunk = upload->xorb.chunks_count - 1;
			upload->new_bytes += length;
		}
		err = add_term(upload, NULL, upload->xorbs_sealed + 1, chunk, (uint32_t)length);
	}
	if (err == ERR_TOO_BIG)
		return why_set(why, err, "the file is made of too many pieces that are stored already");
	return err ? why_set(why, err, "no memory for the terms of a file") : 0;
}

/* `cuts`: ends of chunks in data, at least one; the first chunk may have begun earlier. */
static int take_cuts(struct upload *upload, const uint8_t *data, const uint32_t *cuts, size_t count, struct why *why)
{
	struct hash hashes[SLICE_CUTS_MAX];
	struct index_chunk found[SLICE_CUTS_MAX];
	struct span chunks[SLICE_CUTS_MAX];
	size_t start = 0, i = 0;
	do {
		chunks[i] = span_of(data + start, cuts[i] - start);
		if (i == 0 && upload->pending_length) {
			memcpy(upload->pending + upload->pending_length, data, cuts[0]);
			chunks[0] = span_of(upload->pending, upload->pending_length + cuts[0]);
		}
		digest_chunk(&hashes[i], chunks[i].data, chunks[i].length);
		start = cuts[i++];
	} while (i < count);
	int err = index_find_chunks(upload->store->index, hashes, count, found, why);
	uint64_t more = upload->length_hint > upload->length ? upload->length_hint - upload->length : 0;
	for (i = 0; i < count && err == 0; i++)
		err = take_chunk(upload, &hashes[i], chunks[i].data, chunks[i].length, &found[i], upload->length_hint == UINT64_MAX ? SLICE_BYTES : more, why);
	upload->pending_length = 0;
	return err;
}

/* ------------------------------------------------------------------ files */

int upload_file_begin(struct upload *upload, uint64_t length_hint)
{
	assert(!upload->file_open);
	if (!upload->pending && !(upload->pending = malloc(CHUNK_BYTES_MAX)))
		return ERR_NO_MEMORY;
	if (merkle_open(&upload->merkle) != 0)
		return ERR_NO_MEMORY;
	upload->file_open = true;
	upload->git_wanted = false;
	upload->length_hint = length_hint;
	upload->length = upload->new_bytes = 0;
	upload->terms_first = upload->terms_count;
	upload->pending_length = 0;
	chunker_init(&upload->chunker);
	sha256_init(&upload->sha256);
	return 0;
}

int upload_want_git_oid(struct upload *upload, uint64_t length)
{
	char header[32];
	assert(upload->file_open && upload->length == 0);
	if (!upload->git && !(upload->git = EVP_MD_CTX_new()))
		return ERR_NO_MEMORY;
	int header_length = snprintf(header, sizeof(header), "blob %llu", (unsigned long long)length) + 1;
	if (EVP_DigestInit_ex(upload->git, EVP_sha1(), NULL) != 1 || EVP_DigestUpdate(upload->git, header, (size_t)header_length) != 1)
		return ERR_NO_MEMORY;
	upload->git_wanted = true;
	return 0;
}

static int write_slice(struct upload *upload, const uint8_t *data, size_t length, struct why *why)
{
	uint32_t cuts[SLICE_CUTS_MAX];
	size_t count = chunker_scan_sha256(&upload->chunker, &upload->sha256, data, length, cuts, SLICE_CUTS_MAX);
	upload->length += length;
	size_t taken = count ? cuts[count - 1] : 0;
	if (count) {
		int err = take_cuts(upload, data, cuts, count, why);
		if (err)
			return err;
	}
	memcpy(upload->pending + upload->pending_length, data + taken, length - taken);
	upload->pending_length += length - taken;
	return 0;
}

int upload_file_write(struct upload *upload, const void *data, size_t length, struct why *why)
{
	const uint8_t *bytes = data;
	assert(upload->file_open);
	if (upload->git_wanted)
		EVP_DigestUpdate(upload->git, data, length);
	while (length > 0) {
		size_t some = length < SLICE_BYTES ? length : SLICE_BYTES;
		int err = write_slice(upload, bytes, some, why);
		if (err)
			return err;
		bytes += some;
		length -= some;
	}
	return 0;
}

static int take_last_chunk(struct upload *upload, struct why *why)
{
	if (upload->pending_length == 0)
		return 0;
	struct hash hash;
	struct index_chunk found;
	digest_chunk(&hash, upload->pending, upload->pending_length);
	int err = index_find_chunks(upload->store->index, &hash, 1, &found, why);
	if (err == 0)
		err = take_chunk(upload, &hash, upload->pending, upload->pending_length, &found, 0, why);
	upload->pending_length = 0;
	return err;
}

int upload_file_end(struct upload *upload, struct upload_result *out, struct why *why)
{
	assert(upload->file_open);
	int err = take_last_chunk(upload, why);
	if (err == 0 && grow((void **)&upload->files, &upload->files_capacity, upload->files_count, sizeof(struct upload_file)) != 0)
		err = why_set(why, ERR_NO_MEMORY, "no memory for a file");
	if (err) {
		upload_file_abort(upload);
		return err;
	}
	struct hash root;
	*out = (struct upload_result){ .length = upload->length, .new_bytes = upload->new_bytes };
	merkle_root(upload->merkle, &root);
	digest_file(&out->file, &root);
	sha256_final(&upload->sha256, &out->sha256);
	if (upload->git_wanted)
		EVP_DigestFinal_ex(upload->git, out->git_oid.bytes, NULL);
	upload->files[upload->files_count++] = (struct upload_file){ .file = out->file, .sha256 = out->sha256, .length = out->length,
		.terms_first = (uint32_t)upload->terms_first, .terms_count = (uint32_t)(upload->terms_count - upload->terms_first) };
	upload->file_open = false;
	merkle_close(upload->merkle);
	upload->merkle = NULL;
	return 0;
}

void upload_file_abort(struct upload *upload)
{
	if (!upload->file_open)
		return;
	upload->terms_count = upload->terms_first;
	upload->file_open = false;
	merkle_close(upload->merkle);
	upload->merkle = NULL;
}

/* ------------------------------------------------------------------ committing */

/* What one commit hands to the journal. Payloads lie one behind the other; spans are set when all are there. */
struct commit_batch {
	struct buffer payloads;
	struct journal_record *records;
	size_t *offsets; /* of each payload */
	size_t count, capacity, offsets_capacity;
};

static int batch_add(struct commit_batch *batch, uint8_t kind, size_t payload_offset)
{
	if (grow((void **)&batch->records, &batch->capacity, batch->count, sizeof(struct journal_record)) != 0 ||
		grow((void **)&batch->offsets, &batch->offsets_capacity, batch->count, sizeof(size_t)) != 0)
		return ERR_NO_MEMORY;
	batch->offsets[batch->count] = payload_offset;
	batch->records[batch->count++] = (struct journal_record){ .kind = kind, .payload = { NULL, batch->payloads.length - payload_offset } };
	return 0;
}

static int add_file_record(struct upload *upload, const struct upload_file *file, struct commit_batch *batch)
{
	struct file_record record = { .file = file->file, .sha256 = file->sha256, .has_sha256 = true, .sha256_verified = true,
		.length = file->length, .registered_ms = store_now_ms(), .terms_count = file->terms_count };
	struct file_term *terms = malloc((file->terms_count ? file->terms_count : 1) * sizeof(*terms));
	if (!terms)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < file->terms_count; i++) {
		const struct upload_term *from = &upload->terms[file->terms_first + i];
		terms[i] = from->term;
		if (from->local)
			terms[i].xorb = upload->sealed[from->local - 1];
	}
	size_t offset = batch->payloads.length;
	int err = file_record_encode(&batch->payloads, &record, terms);
	free(terms);
	return err ? err : batch_add(batch, VOLUME_FILE, offset);
}

/* Does this node have all that it reads a known file by, or did others say that they do? Else the upload's own terms, all of which are here, are the better
 * ones. */
static bool may_keep_terms(struct upload *upload, const struct upload_file *file)
{
	return !store_file_is_damaged(upload->store, &file->file) && (file->settled || store_has_file_whole(upload->store, &file->file));
}

/* The records of one file: all of it when it is new, what is missing when it is known. */
static int add_file(struct upload *upload, const struct upload_file *file, struct commit_batch *batch)
{
	struct index_file known;
	int64_t claimed_ms = 0;
	size_t offset;
	int err = index_file(upload->store->index, &file->file, &known);
	if (err == ERR_NOT_FOUND || (err == 0 && !may_keep_terms(upload, file))) {
		err = add_file_record(upload, file, batch);
	} else if (err == 0 && (!known.record.sha256_verified || memcmp(&known.record.sha256, &file->sha256, sizeof(struct sha256)) != 0)) {
		offset = batch->payloads.length;
		uint8_t *out = buffer_reserve(&batch->payloads, VERIFIED_RECORD_BYTES);
		if (!out)
			return ERR_NO_MEMORY;
		verified_record_encode(out, &(struct verified_record){ file->file, file->sha256 });
		batch->payloads.length += VERIFIED_RECORD_BYTES;
		err = batch_add(batch, VOLUME_VERIFIED, offset);
	}
	if (err)
		return err;
	int64_t now = store_now_ms();
	if (index_claim(upload->store->index, &file->file, &upload->owner, &claimed_ms) == 0 && store_claim_is_fresh(upload->store, claimed_ms, now))
		return 0;
	offset = batch->payloads.length;
	uint8_t *out = buffer_reserve(&batch->payloads, CLAIM_RECORD_BYTES);
	if (!out)
		return ERR_NO_MEMORY;
	claim_record_encode(out, &(struct claim_record){ file->file, upload->owner, now, file->length });
	batch->payloads.length += CLAIM_RECORD_BYTES;
	return batch_add(batch, VOLUME_CLAIM, offset);
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct upload_file *)a)->file.bytes, ((const struct upload_file *)b)->file.bytes, HASH_BYTES);
}

static int commit_files(struct upload *upload, const struct xorb_records *sealed, struct why *why)
{
	struct commit_batch batch = { 0 };
	int err = 0;
	buffer_init(&batch.payloads, (size_t)4 * VOLUME_PAYLOAD_BYTES_MAX);
	for (size_t i = 0; i < sealed->count && err == 0; i++)
		err = batch_add(&batch, sealed->records[i].kind, 0);
	qsort(upload->files, upload->files_count, sizeof(*upload->files), by_hash);
	for (size_t i = 0; i < upload->files_count && err == 0; i++)
		if (i == 0 || by_hash(&upload->files[i - 1], &upload->files[i]) != 0)
			err = add_file(upload, &upload->files[i], &batch);
	if (err)
		err = why_set(why, err, "the upload cannot be recorded (%s)", err_name(err));
	for (size_t i = 0; i < batch.count; i++) {
		if (i < sealed->count)
			batch.records[i].payload = sealed->records[i].payload;
		else
			batch.records[i].payload.data = batch.payloads.data + batch.offsets[i];
	}
	if (err == 0 && batch.count > 0)
		err = journal_commit(upload->store->journal, batch.records, batch.count, why);
	buffer_fini(&batch.payloads);
	free(batch.records);
	free(batch.offsets);
	return err;
}

/* What was sealed in passing must still be there: a garbage collection may have dropped an equal xorb at that very moment. Under the
 * registration lock. `count`: of the first ones, those that are not part of the commit itself. */
static int check_sealed(struct upload *upload, uint32_t count, struct why *why)
{
	for (uint32_t i = 0; i < count; i++) {
		struct index_xorb entry;
		int err = index_xorb(upload->store->index, &upload->sealed[i], &entry);
		index_xorb_fini(&entry);
		if (err)
			return why_set(why, err == ERR_NOT_FOUND ? ERR_BUSY : err, "a part of the upload was removed meanwhile; send it once more");
	}
	return 0;
}

/* All of them, or those that are marked `settled`. */
static int settle_files(struct upload *upload, bool marked, struct why *why)
{
	size_t count = 0;
	if (upload->files_count == 0)
		return 0;
	struct hash *files = malloc(upload->files_count * sizeof(*files));
	if (!files)
		return why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	for (size_t i = 0; i < upload->files_count; i++)
		if (!marked || upload->files[i].settled)
			files[count++] = upload->files[i].file;
	int err = store_settle_files(upload->store, files, count, why);
	free(files);
	return err;
}

/* Other nodes are asked before the registration lock is taken. Where they do not answer for what is known, the upload's own terms count. */
static void settle_known(struct upload *upload)
{
	struct index_file known;
	if (!store_has_others(upload->store))
		return;
	for (size_t i = 0; i < upload->files_count; i++)
		upload->files[i].settled = index_file(upload->store->index, &upload->files[i].file, &known) == 0;
	if (settle_files(upload, true, NULL) != 0)
		for (size_t i = 0; i < upload->files_count; i++)
			upload->files[i].settled = false;
}

int upload_commit(struct upload *upload, struct why *why)
{
	struct xorb_records sealed = { .writer = upload->store->writer };
	struct hash xorb;
	assert(!upload->file_open);
	int err = wait_for_seals(upload, why);
	if (!upload->is_naming)
		store_naming_begin(upload->store, &upload->naming);
	upload->is_naming = true;
	if (err == 0)
		settle_known(upload);
	if (err == 0 && upload->xorb.chunks_count > 0) {
		err = open_xorb_seal(&upload->xorb, &upload->store->damaged, &xorb, &sealed, why);
		if (err == 0 && note_sealed(upload, &xorb) != 0) {
			xorb_records_fini(&sealed);
			err = why_set(why, ERR_NO_MEMORY, "no memory to close a xorb");
		}
	}
	if (err) {
		spoil(upload, err, why);
		return err;
	}
	pthread_rwlock_rdlock(&upload->store->registration);
	err = check_sealed(upload, upload->xorbs_sealed - (sealed.count > 0), why);
	if (err == 0)
		err = commit_files(upload, &sealed, why);
	pthread_rwlock_unlock(&upload->store->registration);
	if (err && sealed.count > 0)
		spoil(upload, err, why);
	xorb_records_fini(&sealed);
	if (err)
		return err;
	/* New ones may lean on what is old, and what known ones are made of may be old garbage elsewhere until their claims are known there. */
	if (!store_awaits_all(upload->store))
		err = settle_files(upload, false, why);
	upload->files_count = upload->terms_count = 0;
	return err ? err : store_await_copies(upload->store, why);
}
