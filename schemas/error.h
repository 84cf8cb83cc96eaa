/* error.h - the one list of errors, and the sentence that goes with one.
 *
 * A function that can fail returns 0 or a negative ERR_*. What a person should read goes into a `struct why`
 * that the caller owns. Status codes and machine-readable codes are made from both at the edge (gateway), never
 * below it. */
#ifndef CAIRN_SCHEMAS_ERROR_H
#define CAIRN_SCHEMAS_ERROR_H

enum {
	ERR_INVALID = -1,          /* malformed or out of contract: the caller's fault */
	ERR_NOT_FOUND = -2,
	ERR_EXISTS = -3,
	ERR_CONFLICT = -4,         /* a precondition did not hold when the change was applied */
	ERR_CORRUPT = -5,          /* stored or received bytes are not what their hash or checksum says */
	ERR_TOO_BIG = -6,
	ERR_RANGE = -7,            /* a byte range outside the object */
	ERR_NO_SPACE = -8,
	ERR_DENIED = -9,           /* known caller, not allowed */
	ERR_UNAUTHENTICATED = -10, /* no caller, or a token that is wrong or expired */
	ERR_BUSY = -11,            /* over a limit for now: try again */
	ERR_UNKNOWN_OUTCOME = -12, /* proposed, result not known in time: may still happen */
	ERR_IO = -13,
	ERR_NO_MEMORY = -14,
	ERR_UNSUPPORTED = -15,     /* understood, not built */
	ERR_CLOSED = -16,          /* shutting down, or the peer is gone */
	ERR_AGAIN = -17,           /* would block; internal, never shown */
	ERR_GATED = -18,           /* may see the repository, not its files: access must be asked for */
};

enum { WHY_BYTES_MAX = 512 };

/* A sentence for a person. Zero-initialise; always NUL-terminated; never holds a secret. */
struct why {
	char text[WHY_BYTES_MAX];
};

/* Writes the sentence (truncating) and returns `err`, so that `return why_set(why, ERR_X, ...)` reads as one
 * step. `why` may be NULL. */
int why_set(struct why *why, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A constant name such as "ERR_CORRUPT"; "OK" for 0. */
const char *err_name(int err);

#endif
