/* recovery.c - makes the index say what the volumes say: from its mark on at start, from nothing for fsck. */
#include <stdio.h>
#include <stdlib.h>

#include "store/core.h"

enum { ABSENT_BATCH = 256 };

struct replay {
	struct volumes *volumes;
	struct index *index;
	struct index_batch *batch;
	bool left_out;                /* some xorb */
	bool passed_over;             /* some record, or a xorb that was left out */
	void (*damage)(void *context, const char *what);
	void *context;
	bool pass_unreadable;
	_Atomic int *cancel;
	struct why *why;
};

static void tell(struct replay *replay, const char *text)
{
	if (!replay->passed_over)
		index_put_raw(replay->index, &(struct index_raw){ INDEX_PASSED_OVER, span_of(NULL, 0), span_of(NULL, 0) }, 1);
	replay->passed_over = true;
	if (replay->damage)
		replay->damage(replay->context, text);
}

static void on_damage(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	char text[VOLUME_DAMAGE_TEXT_BYTES];
	volume_damage_text(text, volume, offset, length, what);
	tell(context, text);
}

/* A xorb record can be on disk while its fragments are not: both were under way when the power went. */
static int check_body(struct replay *replay, const struct record_place *place, struct span payload)
{
	struct xorb_record record;
	struct stored_xorb *xorb;
	struct why why = { 0 };
	char text[WHY_BYTES_MAX + 128], name[HASH_TEXT_BYTES];
	if (xorb_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	struct xorb_fragment *fragments = malloc(record.fragments_count * sizeof(*fragments));
	if (!fragments)
		return ERR_NO_MEMORY;
	xorb_fragments_resolve(fragments, &record, place);
	int err = stored_xorb_make(&xorb, replay->volumes, &record, fragments, &why);
	free(fragments);
	if (err == 0) {
		err = stored_xorb_verify(xorb, false, &why);
		stored_xorb_release(xorb);
	}
	if (err == ERR_IO && replay->pass_unreadable)
		err = ERR_CORRUPT;
	if (err == ERR_CORRUPT) {
		hash_to_text(name, &record.xorb);
		snprintf(text, sizeof(text), "volume %08x at %llu: xorb %s is left out: %s", place->volume, (unsigned long long)place->offset, name, why.text);
		tell(replay, text);
		replay->left_out = true;
		index_put_raw(replay->index, &(struct index_raw){ INDEX_DAMAGED, span_of(record.xorb.bytes, HASH_BYTES), span_of(NULL, 0) }, 1);
	} else if (err == 0 && replay->left_out) {
		index_drop_raw(replay->index, INDEX_DAMAGED, span_of(record.xorb.bytes, HASH_BYTES));
	}
	return err;
}

static int on_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	struct replay *replay = context;
	struct record_place place = { volume->id, record->offset }, end = { volume->id, record->offset + volume_record_bytes(record->payload_length) };
	int err = record->kind == VOLUME_XORB ? check_body(replay, &place, payload) : 0;
	if (err == 0)
		err = index_batch_apply(replay->batch, record->kind, payload, &place);
	if (err == ERR_UNSUPPORTED)
		return why_set(replay->why, err, "volume %08x at %llu: a record of kind %u, which this version does not know", volume->id,
			(unsigned long long)record->offset, record->kind);
	if (err && err != ERR_CORRUPT)
		return why_set(replay->why, err, "a record of volume %08x could not be taken into the index", volume->id);
	return record->kind == VOLUME_FRAGMENT ? 0 : index_batch_write(replay->batch, &end, replay->why);
}

int store_replay(struct volumes *volumes, struct index *index, const struct record_place *from, void (*damage)(void *context, const char *what),
	void *context, bool pass_unreadable, _Atomic uint64_t *done_bytes, _Atomic int *cancel, uint64_t *end, struct why *why)
{
	struct replay replay = { .volumes = volumes, .index = index, .damage = damage, .context = context, .pass_unreadable = pass_unreadable,
		.why = why };
	struct volume_visit visit = { .record = on_record, .damage = on_damage, .context = &replay, .pass_unreadable = pass_unreadable,
		.done_bytes = done_bytes, .cancel = cancel };
	size_t count = volumes_list(volumes, NULL, 0);
	uint32_t *ids = malloc((count ? count : 1) * sizeof(*ids));
	if (!ids || index_batch_open(&replay.batch, index) != 0) {
		free(ids);
		return why_set(why, ERR_NO_MEMORY, "no memory to read the volumes");
	}
	volumes_list(volumes, ids, count);
	int err = 0;
	*end = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		if (ids[i] < from->volume)
			continue;
		struct volume *volume = volumes_get(volumes, ids[i]);
		uint64_t start = ids[i] == from->volume && from->offset > VOLUME_BLOCK_BYTES ? from->offset : VOLUME_BLOCK_BYTES;
		err = volume_walk(volume, start, volumes_end(volumes, volume), &visit, end, why);
		volume_release(volume);
	}
	index_batch_close(replay.batch);
	free(ids);
	return err;
}

static void log_damage(void *context, const char *what)
{
	(void)context;
	fprintf(stderr, "cairn: while opening the store: %s\n", what);
}

int store_recover(struct store *store, struct why *why)
{
	struct record_place from;
	uint64_t end;
	index_position(store->index, &from);
	volumes_pass_id(store->volumes, from.volume);
	int err = store_replay(store->volumes, store->index, &from, log_damage, NULL, false, NULL, NULL, &end, why);
	if (err == 0)
		err = store_note_gone(store, &from, why);
	if (err == 0)
		err = index_flush(store->index, why);
	if (err == 0 && end >= VOLUME_BLOCK_BYTES)
		err = volumes_resume(store->volumes, end, why);
	return err;
}

int store_note_absent(struct store *store, struct why *why)
{
	struct hash some[ABSENT_BATCH], after, file;
	struct buffer none;
	buffer_init(&none, 1);
	int err = index_get_raw(store->index, INDEX_PASSED_OVER, span_of(NULL, 0), &none);
	if (err == ERR_NOT_FOUND && store->volumes_left_out == 0)
		return 0;
	if (err && err != ERR_NOT_FOUND)
		return why_set(why, err, "the index of the store cannot be read");
	size_t absent = 0;
	for (size_t count = store_needed_xorbs(store, NULL, some, ABSENT_BATCH); count > 0; count = store_needed_xorbs(store, &after, some, ABSENT_BATCH)) {
		after = some[count - 1];
		for (size_t i = 0; i < count; i++)
			if (!store_has_xorb(store, &some[i]))
				absent += store_note_lost(store, &some[i], &file, 1);
	}
	if (absent)
		fprintf(stderr, "cairn: %zu xorbs that files need are damaged or gone: whoever pushes such a file again is asked for its bytes\n", absent);
	return index_drop_raw(store->index, INDEX_PASSED_OVER, span_of(NULL, 0));
}
