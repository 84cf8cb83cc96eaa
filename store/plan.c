/* plan.c - which chunks of which xorbs make a range of a file: what a reconstruction answer says. */
#include <stdlib.h>

#include "store/file_terms.h"

static int add(struct plan *plan, size_t *capacity, const struct plan_term *term)
{
	if (plan->terms_count == *capacity) {
		if (*capacity >= PLAN_TERMS_MAX)
			return ERR_TOO_BIG;
		size_t more = *capacity ? 2 * *capacity : 16;
		struct plan_term *terms = realloc(plan->terms, more * sizeof(*terms));
		if (!terms)
			return ERR_NO_MEMORY;
		plan->terms = terms;
		*capacity = more;
	}
	plan->terms[plan->terms_count++] = *term;
	return 0;
}

/* The current term cut to the chunks that hold bytes of [start, end) of the file. *first_raw: where in the file its first chunk begins. */
static int trim(const struct file_terms *terms, const struct stored_xorb *xorb, uint64_t start, uint64_t end, struct plan_term *out,
	uint64_t *first_raw, struct why *why)
{
	const struct file_term *term = &terms->term;
	if (term->chunk_end > xorb->table.count || term->chunk_start >= term->chunk_end)
		return why_set(why, ERR_CORRUPT, "a term names chunks that its xorb does not have");
	uint32_t base = stored_chunk_raw_start(xorb, term->chunk_start), first = term->chunk_start, last = term->chunk_end;
	while (first + 1 < last && terms->raw_start + (xorb->table.chunks[first].raw_end - base) <= start)
		first++;
	while (last - 1 > first && terms->raw_start + (stored_chunk_raw_start(xorb, last - 1) - base) >= end)
		last--;
	*out = (struct plan_term){ .xorb = term->xorb, .chunk_start = first, .chunk_end = last,
		.raw_length = xorb->table.chunks[last - 1].raw_end - stored_chunk_raw_start(xorb, first),
		.body_start = stored_chunk_start(xorb, first), .body_end = xorb->table.chunks[last - 1].body_end };
	*first_raw = terms->raw_start + (stored_chunk_raw_start(xorb, first) - base);
	return 0;
}

static int collect(struct store *store, struct file_terms *terms, struct plan *plan, struct why *why)
{
	size_t capacity = 0;
	int more = file_terms_seek(terms, plan->start, true, why);
	for (more = more == 0 ? 1 : more; more == 1 && terms->raw_start < plan->end; more = file_terms_next(terms, true, why)) {
		struct stored_xorb *xorb;
		struct plan_term term;
		uint64_t first_raw = 0;
		int err = store_open_xorb(store, &terms->term.xorb, true, &xorb, why);
		if (err)
			return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
		err = trim(terms, xorb, plan->start, plan->end, &term, &first_raw, why);
		stored_xorb_release(xorb);
		if (err)
			return err;
		if (plan->terms_count == 0)
			plan->offset_into_first = plan->start - first_raw;
		err = add(plan, &capacity, &term);
		if (err)
			return why_set(why, err, "the range has more than %d terms; ask for less", PLAN_TERMS_MAX);
	}
	return more < 0 ? more : 0;
}

static int make(struct store *store, const struct hash *file, uint64_t start, uint64_t end, struct plan *out, struct why *why)
{
	struct file_terms terms;
	*out = (struct plan){ 0 };
	int err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	out->file_length = terms.file.record.length;
	out->start = start;
	out->end = end < out->file_length ? end : out->file_length;
	if (start >= out->file_length && !(start == 0 && out->file_length == 0))
		err = why_set(why, ERR_RANGE, "the file has %llu bytes", (unsigned long long)out->file_length);
	else if (out->end > out->start)
		err = collect(store, &terms, out, why);
	file_terms_close(&terms);
	if (err)
		plan_fini(out);
	return err;
}

static int count_terms(struct store *store, const struct hash *file, uint64_t start, uint64_t end, uint64_t *out, struct why *why)
{
	struct file_terms terms;
	*out = 0;
	int err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	int more = start < terms.file.record.length;
	err = more ? file_terms_seek(&terms, start, true, why) : 0;
	for (; err == 0 && more == 1 && terms.raw_start < end && *out <= PLAN_TERMS_MAX; more = file_terms_next(&terms, true, why))
		++*out;
	file_terms_close(&terms);
	return err ? err : more < 0 ? more : 0;
}

int store_plan_terms(struct store *store, const struct hash *file, uint64_t start, uint64_t end, uint64_t *out, struct why *why)
{
	int err = count_terms(store, file, start, end, out, why);
	return err == ERR_CORRUPT && store_repair_file(store, file) == 0 ? count_terms(store, file, start, end, out, why) : err;
}

int store_plan(struct store *store, const struct hash *file, uint64_t start, uint64_t end, struct plan *out, struct why *why)
{
	int err = make(store, file, start, end, out, why);
	return err == ERR_CORRUPT && store_repair_file(store, file) == 0 ? make(store, file, start, end, out, why) : err;
}

void plan_fini(struct plan *plan)
{
	free(plan->terms);
	plan->terms = NULL;
	plan->terms_count = 0;
}
