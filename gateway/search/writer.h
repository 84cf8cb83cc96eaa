/* writer.h - changes of the index on their way to the disk. Private to gateway/search.
 *
 * DESIGN. A batch gathers documents; blocks of postings are read once, changed in memory, and written when the batch ends, so that a thousand new documents that
 * share their tags cost a few blocks. A batch ends whole or not at all, together with the positions in the streams that it stands for. What the batch
 * changes is not read back: a repository may be touched once in a batch. One thread. */
#ifndef CAIRN_GATEWAY_SEARCH_WRITER_H
#define CAIRN_GATEWAY_SEARCH_WRITER_H

#include "gateway/facts/facts.h"
#include "gateway/search/database.h"
#include "gateway/search/postings.h"
#include "gateway/search/terms.h"

enum { WRITER_BLOCKS_MAX = 8192 }; /* held by one batch: 7 MiB; it should be ended when search_writer_is_full */

struct search_writer;
int search_writer_open(struct search_writer **out, struct search_db *db);
void search_writer_close(struct search_writer *writer); /* drops what was not ended */

struct indexed {
	struct doc doc;
	struct doc_values values;
	uint32_t number;
	uint8_t digest[16]; /* of the files its facts are from */
	bool exists;
};
/* What the index holds of a repository; exists false: nothing. */
int search_writer_find(struct search_writer *writer, const struct entity_id *repo, struct indexed *out);
/* Sets the commit and the values: the facts are the same as before, and so are name and visibility. */
int search_writer_record(struct search_writer *writer, const struct indexed *before, const struct doc *doc, const struct doc_values *values);
/* Sets everything. `before` may not exist: it then gets a number. */
int search_writer_put(struct search_writer *writer, const struct indexed *before, const struct doc *doc, const struct doc_values *values,
	const struct facts *facts, const struct term_list *terms);
int search_writer_remove(struct search_writer *writer, const struct indexed *before);
void search_writer_meta(struct search_writer *writer, const char *name, uint64_t value);
void search_writer_weights(struct search_writer *writer, const struct hash *file, struct span json);

bool search_writer_is_full(const struct search_writer *writer);
/* [blocks] Writes all of it. After an error nothing of the batch is there, and it is forgotten. */
int search_writer_end(struct search_writer *writer);

#endif
