/* ssh_public_key.h - a public key of SSH as people paste it: one line of an authorized_keys or .pub file.
 *
 * The line is "TYPE BASE64 [COMMENT]"; the base64 text is the key's blob (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f), which
 * begins with its type again. Everything about a blob is checked but whether a point lies on its curve, which sshd does before it believes a
 * signature. Options before the type ("command=...", "from=...") are refused: what a key may do is the hub's to say.
 *
 * Pure; allocates nothing. */
#ifndef CAIRN_SCHEMAS_SSH_PUBLIC_KEY_H
#define CAIRN_SCHEMAS_SSH_PUBLIC_KEY_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

enum {
	SSH_KEY_LINE_BYTES_MAX = 8192,   /* with blanks and comment */
	SSH_KEY_BLOB_BYTES_MAX = 2304,   /* RSA of 16384 bits, and some */
	SSH_KEY_BASE64_BYTES_MAX = 3073, /* with NUL */
	SSH_KEY_TYPE_BYTES_MAX = 48,     /* with NUL */
	SSH_KEY_COMMENT_BYTES_MAX = 97,  /* with NUL; longer ones are cut */
	SSH_KEY_FINGERPRINT_BYTES = 51,  /* "SHA256:", 43 characters, NUL */
	SSH_RSA_BITS_MIN = 2048,
	SSH_RSA_BITS_MAX = 16384,
};

struct ssh_public_key {
	char type[SSH_KEY_TYPE_BYTES_MAX];       /* "ssh-ed25519" */
	char base64[SSH_KEY_BASE64_BYTES_MAX];   /* the blob, padded */
	char comment[SSH_KEY_COMMENT_BYTES_MAX]; /* printable, maybe empty */
	struct hash fingerprint;                 /* SHA-256 of the blob */
};

/* One key; blank lines and lines that begin with '#' around it are skipped. 0 or ERR_INVALID with a sentence for the person who pasted it. */
int ssh_public_key_parse(struct ssh_public_key *out, struct span text, struct why *why);

/* "SHA256:" and base64 without padding, as ssh-keygen -l prints it. */
void ssh_fingerprint_to_text(char out[SSH_KEY_FINGERPRINT_BYTES], const struct hash *fingerprint);
/* The same back; the prefix may be absent. 0 or ERR_INVALID. */
int ssh_fingerprint_from_text(struct hash *out, struct span text);

#endif
