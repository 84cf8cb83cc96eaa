/* other_terms.h - what a file needs besides the terms by which this node reads it.
 *
 * DESIGN. Two nodes that take a file at once cut it into different xorbs, or find its chunks in different ones: they know it by different terms. Each goes on
 * reading by those that it knew first; replacing them would lean on xorbs that may go with the node that wrote them. But it keeps the record that it is told
 * (file_record.other_terms), and with it, for each xorb that this names, the entry that says that the file needs it. So all nodes need the same xorbs: each
 * fetches what it should hold when nodes come and go, a garbage collection drops nothing by which another node reads, and the last copy of either counts as
 * one. Both lots of bytes stay as long as the file does.
 *
 * Those that a node knew first may name a xorb that went with the node that wrote it, before any other had a copy, while what was acknowledged are the
 * others. So a reader who cannot have a xorb tries other terms that are known, and the file is read by those from then on if all that they name can be had.
 *
 * What no node has any more is needed by those alone who read by it (store_note_lost). They count as damaged from then on, and take the terms of whoever has
 * others, or what is sent again.
 *
 * Any thread; a few index reads for each xorb that is named, none for what the file's own terms name at the same place. */
#ifndef CAIRN_STORE_OTHER_TERMS_H
#define CAIRN_STORE_OTHER_TERMS_H

#include "store/core.h"

/* Does a file's record name a xorb that the file, known as *known, is not known to need? */
bool other_terms_name_more(struct store *store, const struct index_file *known, struct span payload);
/* Is all there, as far as is known, that the record names, and of the file's own terms something not, or their record is damaged? Then it takes their place. */
bool other_terms_are_better(struct store *store, const struct hash *file, struct span payload);
/* A copy of the record that leaves the terms of a known file as they are (`other`), or takes their place: malloc'ed; NULL: no memory. */
uint8_t *other_terms_copy(struct span payload, bool other);
/* [blocks] A xorb that a file is read by cannot be had. 0: now it is read by other terms, all of whose xorbs can be had at the moment; the ones before stay
 * known, unless nobody has what they name. ERR_NOT_FOUND: there are none. */
int other_terms_switch(struct store *store, const struct hash *file, const struct hash *without);

#endif
