#include "gateway/repo/damage.h"

enum { PATH_SHOWN_BYTES_MAX = 200 };

int damage_check(const struct file_info *file, const struct sha256 *sha256, struct span path, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	const char *kind = sha256 ? "LFS object" : "file";
	if (!file->is_damaged)
		return 0;
	if (sha256)
		hex_encode(text, sha256->bytes, HASH_BYTES);
	else
		hash_to_text(text, &file->file);
	if (path.length == 0)
		return why_set(why, ERR_CORRUPT, "the stored bytes of the %s %s are damaged: upload it again", kind, text);
	return why_set(why, ERR_CORRUPT, "the stored bytes of the %s %s of \"%.*s\" are damaged: upload it again", kind, text,
		(int)(path.length < PATH_SHOWN_BYTES_MAX ? path.length : PATH_SHOWN_BYTES_MAX), (const char *)path.data);
}
