#include "replication/peer_cipher.h"

#include "schemas/little_endian.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

enum { TAG_BYTES = 16 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *aes_256_gcm; /* kept to the end: looking it up costs more than sealing a short record */
static atomic_uchar withheld;

static void fetch(void)
{
	if (crypto_aead_aes256gcm_is_available())
		aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

uint8_t peer_ciphers(void)
{
	pthread_once(&once, fetch);
	uint8_t offers = aes_256_gcm ? PEER_OFFERS_AES_256_GCM : 0;
	return (uint8_t)(offers & ~atomic_load(&withheld));
}

void peer_ciphers_without(uint8_t offers)
{
	atomic_store(&withheld, offers);
}

enum peer_cipher peer_cipher_choose(uint8_t offered, uint8_t own)
{
	return offered & own & PEER_OFFERS_AES_256_GCM ? PEER_AES_256_GCM : PEER_XCHACHA20_POLY1305;
}

size_t peer_seal_bytes(enum peer_cipher cipher)
{
	return cipher == PEER_AES_256_GCM ? TAG_BYTES : crypto_secretstream_xchacha20poly1305_ABYTES;
}

void peer_seal_begin(struct peer_seal *seal, enum peer_cipher cipher, const uint8_t key[32], uint8_t header[PEER_STREAM_HEADER_BYTES])
{
	*seal = (struct peer_seal){ .cipher = cipher };
	if (cipher == PEER_XCHACHA20_POLY1305) {
		crypto_secretstream_xchacha20poly1305_init_push(&seal->stream, header, key);
		return;
	}
	randombytes_buf(header, PEER_STREAM_HEADER_BYTES);
	memcpy(seal->nonce, header, PEER_NONCE_BYTES);
	memcpy(seal->key, key, sizeof(seal->key));
}

int peer_seal_follow(struct peer_seal *seal, enum peer_cipher cipher, const uint8_t key[32], const uint8_t header[PEER_STREAM_HEADER_BYTES])
{
	*seal = (struct peer_seal){ .cipher = cipher };
	if (cipher == PEER_XCHACHA20_POLY1305)
		return crypto_secretstream_xchacha20poly1305_init_pull(&seal->stream, header, key) == 0 ? 0 : ERR_CORRUPT;
	memcpy(seal->nonce, header, PEER_NONCE_BYTES);
	memcpy(seal->key, key, sizeof(seal->key));
	return 0;
}

/* ---- AES-256-GCM ---- */

/* The nonce of the next record, under a key that may have just been made. */
static void next_nonce(struct peer_seal *seal, size_t length, uint8_t nonce[PEER_NONCE_BYTES])
{
	static const uint8_t label[] = "the next key";
	uint8_t number[8];
	if (seal->bytes >= PEER_REKEY_BYTES) {
		uint8_t old[32];
		memcpy(old, seal->key, sizeof(old));
		crypto_generichash(seal->key, sizeof(seal->key), label, sizeof(label), old, sizeof(old));
		sodium_memzero(old, sizeof(old));
		seal->bytes = 0;
	}
	seal->bytes += length;
	le_write_u64(number, seal->records++);
	memcpy(nonce, seal->nonce, PEER_NONCE_BYTES);
	for (size_t i = 0; i < sizeof(number); i++)
		nonce[PEER_NONCE_BYTES - sizeof(number) + i] ^= number[i];
}

static bool update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t length)
{
	int written;
	return length == 0 || (EVP_CipherUpdate(context, out, &written, in, (int)length) == 1 && (!out || written == (int)length));
}

static int aes_write(struct peer_seal *seal, uint8_t *out, struct span head, struct span body, const uint8_t announced[4])
{
	uint8_t nonce[PEER_NONCE_BYTES];
	int written;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	next_nonce(seal, head.length + body.length, nonce);
	bool good = context && EVP_EncryptInit_ex2(context, aes_256_gcm, seal->key, nonce, NULL) == 1 && update(context, NULL, announced, 4) &&
		update(context, out, head.data, head.length) && update(context, out + head.length, body.data, body.length);
	out += head.length + body.length;
	good = good && EVP_EncryptFinal_ex(context, out, &written) == 1 && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out) == 1;
	EVP_CIPHER_CTX_free(context);
	return good ? 0 : ERR_NO_MEMORY;
}

static int aes_open(struct peer_seal *seal, uint8_t *record, size_t length, const uint8_t announced[4], struct span *plain)
{
	uint8_t nonce[PEER_NONCE_BYTES];
	int written;
	if (length < TAG_BYTES)
		return ERR_CORRUPT;
	length -= TAG_BYTES;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	next_nonce(seal, length, nonce);
	int err = context && EVP_DecryptInit_ex2(context, aes_256_gcm, seal->key, nonce, NULL) == 1 ? 0 : ERR_NO_MEMORY;
	bool good = err == 0 && update(context, NULL, announced, 4) && update(context, record, record, length) &&
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, record + length) == 1 && EVP_DecryptFinal_ex(context, record + length, &written) == 1;
	EVP_CIPHER_CTX_free(context);
	*plain = span_of(record, length);
	if (good)
		return 0;
	sodium_memzero(record, length); /* nobody sees what is not proven */
	return err ? err : ERR_CORRUPT;
}

/* ---- XChaCha20-Poly1305, which does neither in place ---- */

static int xchacha_write(struct peer_seal *seal, uint8_t *out, struct span head, struct span body, const uint8_t announced[4], struct buffer *room)
{
	buffer_clear(room);
	if (buffer_append(room, head.data, head.length) != 0 || buffer_append(room, body.data, body.length) != 0)
		return ERR_NO_MEMORY;
	crypto_secretstream_xchacha20poly1305_push(&seal->stream, out, NULL, room->data, room->length, announced, 4, 0);
	return 0;
}

static int xchacha_open(struct peer_seal *seal, const uint8_t *record, size_t length, const uint8_t announced[4], struct buffer *room, struct span *plain)
{
	uint8_t tag;
	unsigned long long plain_length;
	buffer_clear(room);
	uint8_t *out = buffer_reserve(room, length);
	if (!out)
		return ERR_NO_MEMORY;
	if (crypto_secretstream_xchacha20poly1305_pull(&seal->stream, out, &plain_length, &tag, record, length, announced, 4) != 0)
		return ERR_CORRUPT;
	*plain = span_of(out, (size_t)plain_length);
	return 0;
}

/* ---- either ---- */

int peer_seal_write(struct peer_seal *seal, uint8_t *out, struct span head, struct span body, const uint8_t announced[4], struct buffer *room)
{
	return seal->cipher == PEER_AES_256_GCM ? aes_write(seal, out, head, body, announced) : xchacha_write(seal, out, head, body, announced, room);
}

int peer_seal_open(struct peer_seal *seal, uint8_t *record, size_t length, const uint8_t announced[4], struct buffer *room, struct span *plain)
{
	return seal->cipher == PEER_AES_256_GCM ? aes_open(seal, record, length, announced, plain) : xchacha_open(seal, record, length, announced, room, plain);
}
