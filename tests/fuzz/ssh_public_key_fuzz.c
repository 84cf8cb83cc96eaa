/* Any bytes as a public key: what is taken reads back as itself, with one fingerprint. */
#include "schemas/ssh_public_key.h"

#include <assert.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_public_key key, again;
	struct why why = { 0 };
	struct hash back;
	char line[SSH_KEY_LINE_BYTES_MAX], fingerprint[SSH_KEY_FINGERPRINT_BYTES];
	if (ssh_fingerprint_from_text(&back, span_of(data, size)) == 0)
		ssh_fingerprint_to_text(fingerprint, &back);
	int err = ssh_public_key_parse(&key, span_of(data, size), &why);
	assert((err != 0) == (why.text[0] != 0));
	if (err)
		return 0;
	int length = snprintf(line, sizeof(line), "%s %s %s", key.type, key.base64, key.comment);
	assert(length > 0 && length < (int)sizeof(line));
	assert(ssh_public_key_parse(&again, span_of(line, (size_t)length), NULL) == 0);
	assert(memcmp(&again.fingerprint, &key.fingerprint, sizeof(key.fingerprint)) == 0);
	ssh_fingerprint_to_text(fingerprint, &key.fingerprint);
	assert(ssh_fingerprint_from_text(&back, span_text(fingerprint)) == 0 && memcmp(&back, &key.fingerprint, sizeof(back)) == 0);
	return 0;
}
