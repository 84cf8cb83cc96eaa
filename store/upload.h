/* upload.h - the list of uploads under way, for garbage collection. For the files of this folder only. */
#ifndef CAIRN_STORE_UPLOAD_H
#define CAIRN_STORE_UPLOAD_H

#include "store/core.h"

/* The number that the next upload will get. */
uint64_t uploads_mark(struct store *store);
/* [blocks] Until every upload that began before `mark` is closed, at most `wait_ms`. False: some are still open. */
bool uploads_wait(struct store *store, uint64_t mark, int64_t wait_ms);

#endif
