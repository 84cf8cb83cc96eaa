/* peer_cipher.h - seals and opens the records of one direction of a channel (peer_channel.h). No I/O.
 *
 * DESIGN. Two ciphers, one layout. Every program knows XChaCha20-Poly1305 (crypto_secretstream of libsodium). AES-256-GCM costs a third of it where the
 * processor has instructions for it, and is used when both ends have them; without them it would be slower and would tell by its timing, so then it is
 * neither offered nor taken. It is OpenSSL's, which is twice as fast as libsodium's.
 *
 *   header     24 bytes before the first record: secretstream's, or a random nonce of 12 bytes and 12 bytes of no meaning
 *   record     the sealed frame and 17 or 16 bytes; the u32 length before it is authenticated with it
 *
 * The nonce of AES-256-GCM is the header's with the number of the record added by exclusive or, as in TLS 1.3: none comes twice under a key, as the
 * key belongs to this direction of this connection alone and a seal ends when it fails. After PEER_REKEY_BYTES both ends go over to a key made of the
 * old one by BLAKE2b, far below what the cipher bears. XChaCha20 does the same by itself.
 *
 * Any thread; one seal by one thread at a time. */
#ifndef CAIRN_REPLICATION_PEER_CIPHER_H
#define CAIRN_REPLICATION_PEER_CIPHER_H

#include "schemas/buffer.h"
#include "schemas/error.h"

#include <sodium.h>

enum peer_cipher {
	PEER_XCHACHA20_POLY1305 = 0,
	PEER_AES_256_GCM = 1,
};
enum {
	PEER_OFFERS_AES_256_GCM = 1,
	PEER_STREAM_HEADER_BYTES = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
	PEER_SEAL_BYTES_MIN = 16,
	PEER_SEAL_BYTES_MAX = crypto_secretstream_xchacha20poly1305_ABYTES,
	PEER_NONCE_BYTES = 12,
};
#define PEER_REKEY_BYTES (UINT64_C(1) << 36)

/* What this machine opens beside XChaCha20-Poly1305: PEER_OFFERS_*. After sodium_init. */
uint8_t peer_ciphers(void);
/* For tests: acts from here on as a machine without these. */
void peer_ciphers_without(uint8_t offers);
/* The better one of what both open. */
enum peer_cipher peer_cipher_choose(uint8_t offered, uint8_t own);

struct peer_seal {
	enum peer_cipher cipher;
	uint8_t key[32], nonce[PEER_NONCE_BYTES];
	uint64_t records, bytes; /* bytes: under this key */
	crypto_secretstream_xchacha20poly1305_state stream;
};
/* Of who sends: writes the header. */
void peer_seal_begin(struct peer_seal *seal, enum peer_cipher cipher, const uint8_t key[32], uint8_t header[PEER_STREAM_HEADER_BYTES]);
/* Of who receives. ERR_CORRUPT. */
int peer_seal_follow(struct peer_seal *seal, enum peer_cipher cipher, const uint8_t key[32], const uint8_t header[PEER_STREAM_HEADER_BYTES]);
/* Bytes that sealing adds. */
size_t peer_seal_bytes(enum peer_cipher cipher);
/* Writes the sealed record of `head` and `body` to `out`, which has room for it. `announced`: the length that goes before it. `room` is overwritten, if it
 * is needed at all. ERR_NO_MEMORY. */
int peer_seal_write(struct peer_seal *seal, uint8_t *out, struct span head, struct span body, const uint8_t announced[4], struct buffer *room);
/* Opens a record; *plain lies in the record, whose bytes are overwritten, or in `room`. ERR_CORRUPT, ERR_NO_MEMORY: the seal is of no use any more. */
int peer_seal_open(struct peer_seal *seal, uint8_t *record, size_t length, const uint8_t announced[4], struct buffer *room, struct span *plain);

#endif
