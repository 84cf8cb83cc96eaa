/* file_terms.h - the terms of a stored file, one after the other, from wherever they are kept.
 *
 * Few terms lie in the index; many are read from the file's record in a volume, a checked block at a time. One owner, one thread. */
#ifndef CAIRN_STORE_FILE_TERMS_H
#define CAIRN_STORE_FILE_TERMS_H

#include "store/core.h"

struct file_terms {
	struct store *store;
	struct index_file file;
	struct volume *volume;   /* held; NULL when the terms are inline */
	uint8_t *bytes;          /* FILE_BLOCK_BYTES */
	uint32_t block;          /* loaded; UINT32_MAX: none */
	struct file_block loaded;
	/* the current term */
	uint32_t index;
	uint64_t raw_start;      /* in the file */
	struct file_term term;
};

/* 0, ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. Zero-initialised is a valid closed one. */
int file_terms_open(struct file_terms *terms, struct store *store, const struct hash *file, struct why *why);
void file_terms_close(struct file_terms *terms);
/* Makes the term that holds byte `offset` (less than the file's length) current. With may_block false ERR_AGAIN when a block must be read. */
int file_terms_seek(struct file_terms *terms, uint64_t offset, bool may_block, struct why *why);
/* 1: the next term is current; 0: there is none; or an error. */
int file_terms_next(struct file_terms *terms, bool may_block, struct why *why);

#endif
