#include "store/file_terms.h"

#include <stdlib.h>

int file_terms_open(struct file_terms *terms, struct store *store, const struct hash *file, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	*terms = (struct file_terms){ .store = store, .block = UINT32_MAX };
	hash_to_text(text, file);
	/* Twice: the record may move to another volume in between. */
	for (int i = 0; i < 2 && !terms->volume; i++) {
		int err = index_file(store->index, file, &terms->file);
		int fetched = err == ERR_NOT_FOUND ? store_fetch_file(store, file, NULL) : 0;
		if (fetched == ERR_BUSY)
			return store_unless_busy(err, fetched, why);
		if (err == ERR_NOT_FOUND && fetched == 0)
			err = index_file(store->index, file, &terms->file);
		if (err)
			return why_set(why, err, err == ERR_NOT_FOUND ? "there is no file %s" : "cannot look up file %s", text);
		if (terms->file.terms_inline)
			return 0;
		terms->volume = volumes_get(store->volumes, terms->file.place.volume);
	}
	if (!terms->volume)
		damaged_list_add(&store->damaged_files, file);
	if (!terms->volume)
		return why_set(why, ERR_CORRUPT, "volume %08x, which holds the record of file %s, is not there", terms->file.place.volume, text);
	terms->bytes = malloc(FILE_BLOCK_BYTES);
	if (!terms->bytes) {
		file_terms_close(terms);
		return why_set(why, ERR_NO_MEMORY, "no memory to read a file's terms");
	}
	return 0;
}

void file_terms_close(struct file_terms *terms)
{
	volume_release(terms->volume);
	free(terms->bytes);
	terms->volume = NULL;
	terms->bytes = NULL;
}

static int load_block(struct file_terms *terms, uint32_t block, bool may_block, struct why *why)
{
	if (terms->block == block)
		return 0;
	if (!may_block)
		return ERR_AGAIN;
	uint64_t offset = terms->file.place.offset + VOLUME_RECORD_HEADER_BYTES + file_block_offset(block);
	size_t length = file_block_length(terms->file.record.terms_count, block);
	terms->block = UINT32_MAX;
	int err = volume_read(terms->volume, terms->bytes, length, offset, why);
	if (err)
		return err;
	if (file_block_decode(&terms->loaded, span_of(terms->bytes, length)) != 0) {
		damaged_list_add(&terms->store->damaged_files, &terms->file.record.file);
		return why_set(why, ERR_CORRUPT, "volume %08x at %llu: terms of a file are damaged", terms->volume->id, (unsigned long long)offset);
	}
	terms->block = block;
	return 0;
}

static int term_at(struct file_terms *terms, uint32_t index, bool may_block, struct file_term *out, struct why *why)
{
	if (terms->file.terms_inline) {
		*out = terms->file.terms[index];
		return 0;
	}
	int err = load_block(terms, index / FILE_BLOCK_TERMS, may_block, why);
	if (err == 0)
		file_term_decode(out, terms->loaded.terms + (size_t)(index % FILE_BLOCK_TERMS) * FILE_RECORD_TERM_BYTES);
	return err;
}

/* The last block that begins at or before `offset`. */
static int find_block(struct file_terms *terms, uint64_t offset, bool may_block, struct why *why)
{
	uint32_t low = 0, high = file_blocks_count(terms->file.record.terms_count);
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;
		int err = load_block(terms, middle, may_block, why);
		if (err)
			return err;
		if (terms->loaded.raw_start <= offset)
			low = middle;
		else
			high = middle;
	}
	return load_block(terms, low, may_block, why);
}

int file_terms_seek(struct file_terms *terms, uint64_t offset, bool may_block, struct why *why)
{
	uint32_t index = 0;
	uint64_t raw_start = 0;
	if (!terms->file.terms_inline) {
		int err = find_block(terms, offset, may_block, why);
		if (err)
			return err;
		index = terms->block * FILE_BLOCK_TERMS;
		raw_start = terms->loaded.raw_start;
	}
	for (; index < terms->file.record.terms_count; index++) {
		int err = term_at(terms, index, may_block, &terms->term, why);
		if (err)
			return err;
		if (offset - raw_start < terms->term.raw_length) {
			terms->index = index;
			terms->raw_start = raw_start;
			return 0;
		}
		raw_start += terms->term.raw_length;
	}
	return why_set(why, ERR_CORRUPT, "a file's terms are shorter than the file");
}

int file_terms_next(struct file_terms *terms, bool may_block, struct why *why)
{
	if (terms->index + 1 >= terms->file.record.terms_count)
		return 0;
	struct file_term next;
	int err = term_at(terms, terms->index + 1, may_block, &next, why);
	if (err)
		return err;
	terms->raw_start += terms->term.raw_length;
	terms->term = next;
	terms->index++;
	return 1;
}
