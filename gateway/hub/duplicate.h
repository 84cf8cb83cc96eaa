/* duplicate.h - POST lfs-files/duplicate: another repository gets a claim on files of this one, so that a commit there may name them.
 *
 * No byte moves: the store holds them once whoever claims them. The caller must be able to read here and to write there. */
#ifndef CAIRN_GATEWAY_HUB_DUPLICATE_H
#define CAIRN_GATEWAY_HUB_DUPLICATE_H

#include "gateway/gateway.h"

void lfs_files_duplicate(struct http_request *request, const struct route_match *match);

#endif
