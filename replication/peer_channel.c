#include "replication/peer_channel.h"

#include "schemas/little_endian.h"


static const char protocol_name[] = "cairn peer IK 25519 ChaChaPoly BLAKE2b 1";

const char *peer_status_sentence(enum peer_status status)
{
	switch (status) {
	case PEER_ACCEPTED:
		return "accepted";
	case PEER_REMOVED:
		return "this node was removed from the cluster; wipe its data directory and join it anew";
	case PEER_KEY_CHANGED:
		return "another node of the cluster has this node id; a data directory was copied: wipe one of the two and join it anew";
	case PEER_NOT_ME:
		return "another node answers at this address";
	case PEER_BAD_TOKEN:
		return "the join token is not known, was used already or is too old: make another one with `cairn cluster token`";
	case PEER_TOO_OLD:
		return "the cluster is at a feature level that this program does not know: install a newer one";
	case PEER_FULL:
		return "the cluster cannot take another node now";
	}
	return "refused for a reason that this program does not know";
}

void peer_keys_make(struct peer_keys *out)
{
	crypto_box_keypair(out->public_key, out->secret_key);
}

/* ---- the handshake's state ---- */

static void mix_hash(struct peer_channel *channel, const void *data, size_t length)
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, channel->hash, 32);
	crypto_generichash_update(&state, data, length);
	crypto_generichash_final(&state, channel->hash, 32);
}

static void derive(const uint8_t chaining[32], const uint8_t *material, size_t length, uint8_t first[32], uint8_t second[32])
{
	uint8_t out[64];
	crypto_generichash_state state;
	crypto_generichash_init(&state, chaining, 32, sizeof(out));
	crypto_generichash_update(&state, material, length);
	crypto_generichash_final(&state, out, sizeof(out));
	memcpy(first, out, 32);
	memcpy(second, out + 32, 32);
	sodium_memzero(out, sizeof(out));
}

static int mix_key(struct peer_channel *channel, const uint8_t secret[32], const uint8_t public[32])
{
	uint8_t shared[32], chaining[32];
	if (crypto_scalarmult(shared, secret, public) != 0)
		return ERR_CORRUPT; /* a point of small order */
	memcpy(chaining, channel->chaining, 32);
	derive(chaining, shared, 32, channel->chaining, channel->key);
	sodium_memzero(shared, sizeof(shared));
	return 0;
}

/* Each key encrypts one thing: the nonce is zero. */
static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

static void encrypt(struct peer_channel *channel, uint8_t *out, const uint8_t *plain, size_t length)
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, length, channel->hash, 32, NULL, zero_nonce, channel->key);
	mix_hash(channel, out, length + 16);
}

static int decrypt(struct peer_channel *channel, uint8_t *plain, const uint8_t *in, size_t length)
{
	if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, in, length + 16, channel->hash, 32, zero_nonce, channel->key) != 0)
		return ERR_CORRUPT;
	mix_hash(channel, in, length + 16);
	return 0;
}

static void begin(struct peer_channel *channel, const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES], const uint8_t callee[32])
{
	*channel = (struct peer_channel){ 0 };
	crypto_generichash(channel->hash, 32, (const uint8_t *)protocol_name, sizeof(protocol_name), NULL, 0);
	memcpy(channel->chaining, channel->hash, 32);
	mix_hash(channel, cluster_id, PEER_CLUSTER_ID_BYTES);
	mix_hash(channel, callee, 32);
}

static void split(struct peer_channel *channel, bool caller)
{
	static const char aes_256_gcm[] = "AES-256-GCM";
	uint8_t first[32], second[32];
	bool aes = channel->cipher == PEER_AES_256_GCM;
	derive(channel->chaining, aes ? (const uint8_t *)aes_256_gcm : NULL, aes ? sizeof(aes_256_gcm) : 0, first, second);
	memcpy(channel->send_key, caller ? first : second, 32);
	memcpy(channel->receive_key, caller ? second : first, 32);
	sodium_memzero(first, sizeof(first));
	sodium_memzero(second, sizeof(second));
	sodium_memzero(channel->chaining, 32);
	sodium_memzero(channel->key, 32);
	sodium_memzero(channel->ephemeral_secret, 32);
}

static void prove(uint8_t out[32], const uint8_t hash[32], const uint8_t secret[PEER_SECRET_BYTES])
{
	crypto_generichash(out, 32, hash, 32, secret, PEER_SECRET_BYTES);
}

/* ---- the caller ---- */

int peer_channel_call(struct peer_channel *channel, const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES], const struct peer_keys *own,
	const uint8_t remote[PEER_KEY_BYTES], const struct peer_hello *hello, const uint8_t proof_secret[PEER_SECRET_BYTES], uint8_t *out)
{
	begin(channel, cluster_id, remote);
	memcpy(channel->remote_static, remote, 32);
	crypto_box_keypair(channel->ephemeral_public, channel->ephemeral_secret);
	*out++ = PEER_PROTOCOL;
	memcpy(out, channel->ephemeral_public, 32);
	mix_hash(channel, out, 32);
	out += 32;
	if (mix_key(channel, channel->ephemeral_secret, remote) != 0)
		return ERR_INVALID;
	encrypt(channel, out, own->public_key, 32);
	out += 32 + 16;
	if (mix_key(channel, own->secret_key, remote) != 0)
		return ERR_INVALID;
	channel->offered = peer_ciphers();
	uint8_t plain[PEER_HELLO_PLAIN_BYTES] = { PEER_PROTOCOL, hello->purpose, channel->offered };
	le_write_u32(plain + 4, hello->feature_level);
	le_write_u64(plain + 8, hello->from);
	le_write_u64(plain + 16, hello->to);
	memcpy(plain + 24, hello->token_id, PEER_TOKEN_ID_BYTES);
	prove(plain + 40, channel->hash, proof_secret);
	le_write_u64(plain + 72, hello->instance);
	encrypt(channel, out, plain, sizeof(plain));
	return 0;
}

int peer_channel_called(struct peer_channel *channel, const struct peer_keys *own, const uint8_t *welcome, enum peer_status *status, uint64_t *node_id)
{
	memcpy(channel->remote_ephemeral, welcome, 32);
	mix_hash(channel, welcome, 32);
	uint8_t plain[PEER_WELCOME_PLAIN_BYTES];
	if (mix_key(channel, channel->ephemeral_secret, channel->remote_ephemeral) != 0 ||
		mix_key(channel, own->secret_key, channel->remote_ephemeral) != 0 || decrypt(channel, plain, welcome + 32, sizeof(plain)) != 0)
		return ERR_CORRUPT;
	*status = plain[1];
	*node_id = le_read_u64(plain + 8);
	bool offered = plain[2] == PEER_XCHACHA20_POLY1305 || (plain[2] == PEER_AES_256_GCM && channel->offered & PEER_OFFERS_AES_256_GCM);
	if (plain[0] != PEER_PROTOCOL || !offered)
		return ERR_UNSUPPORTED;
	channel->cipher = plain[2];
	split(channel, true);
	return 0;
}

/* ---- the callee ---- */

int peer_channel_answer(struct peer_channel *channel, const uint8_t cluster_id[PEER_CLUSTER_ID_BYTES], const struct peer_keys *own, const uint8_t *hello_bytes,
	struct peer_hello *hello, uint8_t proof[32])
{
	begin(channel, cluster_id, own->public_key);
	if (hello_bytes[0] != PEER_PROTOCOL)
		return ERR_CORRUPT;
	const uint8_t *at = hello_bytes + 1;
	memcpy(channel->remote_ephemeral, at, 32);
	mix_hash(channel, at, 32);
	at += 32;
	if (mix_key(channel, own->secret_key, channel->remote_ephemeral) != 0 || decrypt(channel, channel->remote_static, at, 32) != 0)
		return ERR_CORRUPT;
	at += 32 + 16;
	if (mix_key(channel, own->secret_key, channel->remote_static) != 0)
		return ERR_CORRUPT;
	uint8_t plain[PEER_HELLO_PLAIN_BYTES];
	memcpy(channel->proven_hash, channel->hash, 32);
	if (decrypt(channel, plain, at, sizeof(plain)) != 0 || plain[0] != PEER_PROTOCOL)
		return ERR_CORRUPT;
	*hello = (struct peer_hello){ .purpose = plain[1], .feature_level = le_read_u32(plain + 4), .from = le_read_u64(plain + 8), .to = le_read_u64(plain + 16),
		.instance = le_read_u64(plain + 72) };
	memcpy(hello->token_id, plain + 24, PEER_TOKEN_ID_BYTES);
	memcpy(proof, plain + 40, 32);
	channel->offered = plain[2];
	return 0;
}

bool peer_channel_proven(const struct peer_channel *channel, const uint8_t proof[32], const uint8_t secret[PEER_SECRET_BYTES])
{
	uint8_t expected[32];
	prove(expected, channel->proven_hash, secret);
	return sodium_memcmp(expected, proof, 32) == 0;
}

int peer_channel_welcome(struct peer_channel *channel, enum peer_status status, uint64_t node_id, uint8_t *out)
{
	crypto_box_keypair(channel->ephemeral_public, channel->ephemeral_secret);
	memcpy(out, channel->ephemeral_public, 32);
	mix_hash(channel, out, 32);
	if (mix_key(channel, channel->ephemeral_secret, channel->remote_ephemeral) != 0 ||
		mix_key(channel, channel->ephemeral_secret, channel->remote_static) != 0)
		return ERR_CORRUPT;
	channel->cipher = peer_cipher_choose(channel->offered, peer_ciphers());
	uint8_t plain[PEER_WELCOME_PLAIN_BYTES] = { PEER_PROTOCOL, (uint8_t)status, (uint8_t)channel->cipher };
	le_write_u64(plain + 8, node_id);
	encrypt(channel, out + 32, plain, sizeof(plain));
	split(channel, false);
	return 0;
}

/* ---- records ---- */

int peer_channel_seal(struct peer_channel *channel, struct buffer *out, uint8_t type, uint32_t group, struct span body, struct buffer *room)
{
	uint8_t head[PEER_FRAME_HEADER_BYTES] = { PEER_FRAME_VERSION, type };
	size_t plain_length = sizeof(head) + body.length, sealed_length = plain_length + peer_seal_bytes(channel->cipher);
	if (plain_length > PEER_FRAME_BYTES_MAX)
		return ERR_TOO_BIG;
	uint8_t *at = buffer_reserve(out, PEER_STREAM_HEADER_BYTES + 4 + sealed_length);
	if (!at)
		return ERR_NO_MEMORY;
	size_t header_bytes = channel->sending ? 0 : PEER_STREAM_HEADER_BYTES;
	if (!channel->sending)
		peer_seal_begin(&channel->out, channel->cipher, channel->send_key, at);
	channel->sending = true;
	at += header_bytes;
	le_write_u32(head + 4, group);
	le_write_u32(at, (uint32_t)sealed_length);
	int err = peer_seal_write(&channel->out, at + 4, span_of(head, sizeof(head)), body, at, room);
	if (err == 0)
		out->length += header_bytes + 4 + sealed_length;
	return err;
}

int peer_channel_begin(struct peer_channel *channel, const uint8_t header[PEER_STREAM_HEADER_BYTES])
{
	channel->receiving = true;
	return peer_seal_follow(&channel->in, channel->cipher, channel->receive_key, header);
}

size_t peer_record_length(const uint8_t length[4])
{
	uint32_t bytes = le_read_u32(length);
	return bytes >= PEER_FRAME_HEADER_BYTES + PEER_SEAL_BYTES_MIN && bytes <= PEER_FRAME_BYTES_MAX + PEER_SEAL_BYTES_MAX ? bytes : 0;
}

int peer_channel_open(struct peer_channel *channel, uint8_t *record, size_t length, struct buffer *room, struct peer_frame *out)
{
	uint8_t announced[4];
	struct span plain;
	le_write_u32(announced, (uint32_t)length);
	int err = channel->receiving ? peer_seal_open(&channel->in, record, length, announced, room, &plain) : ERR_CORRUPT;
	if (err)
		return err;
	if (plain.length < PEER_FRAME_HEADER_BYTES || plain.data[2] || plain.data[3])
		return ERR_CORRUPT;
	if (plain.data[0] != PEER_FRAME_VERSION)
		return ERR_UNSUPPORTED;
	*out = (struct peer_frame){ .type = plain.data[1], .group = le_read_u32(plain.data + 4),
		.body = span_of(plain.data + PEER_FRAME_HEADER_BYTES, plain.length - PEER_FRAME_HEADER_BYTES) };
	return 0;
}

void peer_channel_wipe(struct peer_channel *channel)
{
	sodium_memzero(channel, sizeof(*channel));
}
