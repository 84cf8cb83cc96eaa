#include "gateway/repo/object_hash.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "schemas/error.h"

int object_hash(struct oid *out, enum git_type type, struct span payload)
{
	static const char *const names[] = { [GIT_COMMIT] = "commit", [GIT_TREE] = "tree", [GIT_BLOB] = "blob", [GIT_TAG] = "tag" };
	char header[32];
	int header_length = snprintf(header, sizeof(header), "%s %zu", names[type], payload.length) + 1;
	EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
	bool done = sha1 && EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) && EVP_DigestUpdate(sha1, header, (size_t)header_length) &&
		EVP_DigestUpdate(sha1, payload.data, payload.length) && EVP_DigestFinal_ex(sha1, out->bytes, NULL);
	EVP_MD_CTX_free(sha1);
	return done ? 0 : ERR_NO_MEMORY;
}
