#include "gateway/hub/entry.h"

void write_entry_lfs(struct json_writer *json, const struct tree_entry *entry, const char *oid_key)
{
	char sha256[HASH_TEXT_BYTES];
	hex_encode(sha256, entry->sha256.bytes, HASH_BYTES);
	json_object_begin(json, "lfs");
	json_text(json, oid_key, sha256);
	json_u64(json, "size", entry->length);
	json_u64(json, "pointerSize", entry->pointer_length);
	json_object_end(json);
}

static void write_last_commit(struct json_writer *json, const struct commit_info *last)
{
	char oid[OID_TEXT_BYTES];
	hex_encode(oid, last->oid.bytes, OID_BYTES);
	json_object_begin(json, "lastCommit");
	json_text(json, "id", oid);
	json_text(json, "title", last->title);
	json_date(json, "date", last->committer_ms);
	json_object_end(json);
}

void write_entry(struct json_writer *json, const struct tree_entry *entry, const struct commit_info *last)
{
	char oid[OID_TEXT_BYTES], file[HASH_TEXT_BYTES];
	hex_encode(oid, entry->oid.bytes, OID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "type", entry->is_directory ? "directory" : "file");
	json_text(json, "oid", oid);
	json_u64(json, "size", entry->is_directory ? 0 : entry->length);
	json_span(json, "path", entry->path);
	if (entry->is_lfs) {
		write_entry_lfs(json, entry, "oid");
		if (entry->has_file) {
			hash_to_text(file, &entry->file);
			json_text(json, "xetHash", file);
		}
	}
	if (last && last->title)
		write_last_commit(json, last);
	json_object_end(json);
}
