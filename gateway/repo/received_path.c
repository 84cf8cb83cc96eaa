/* received_path.c - where in the pack's trees an object is: what a refusal has to name.
 *
 * The scan notes one tree for each object that a tree names. Names are not kept: the few that are shown are read again from those trees, from the object
 * upwards. */
#include "gateway/repo/received_pack.h"
#include "schemas/git_object.h"

/* The name of `child` in a tree, copied to the end of out[0, *start), with a slash behind it when something follows. False: it does not fit. */
static bool prepend(struct received_pack *received, uint32_t tree, const struct oid *child, char *out, size_t *start)
{
	unsigned type;
	struct span payload;
	struct git_tree_entry entry;
	struct why why;
	if (indexed_pack_read(received->pack, tree, &type, &payload, &why) != 0)
		return false;
	while (git_tree_next(&payload, &entry) > 0) {
		if (!git_oid_equal(&entry.oid, child))
			continue;
		size_t slash = *start < PATH_BYTES_MAX;
		if (entry.name.length + slash > *start)
			return false;
		if (slash)
			out[--*start] = '/';
		*start -= entry.name.length;
		for (size_t i = 0; i < entry.name.length; i++)
			out[*start + i] = entry.name.data[i] < ' ' || entry.name.data[i] == 0x7f ? '?' : (char)entry.name.data[i];
		return true;
	}
	return false;
}

void received_path(struct received_pack *received, uint32_t position, char out[PATH_BYTES_MAX + 1])
{
	size_t start = PATH_BYTES_MAX;
	out[PATH_BYTES_MAX] = 0;
	for (int depth = 0; depth <= PATH_DEPTH_MAX && received->parents[position]; depth++) {
		uint32_t tree = received->parents[position] - 1;
		if (!prepend(received, tree, indexed_pack_oid(received->pack, position), out, &start))
			break;
		position = tree;
	}
	memmove(out, out + start, PATH_BYTES_MAX + 1 - start);
}
