/* join_token.c - the text of a join token: "cairn-join-" and URL-safe base64 of msgpack [1, cluster id, token id, secret, [[node id, key, address], ...]]. */
#include "replication/cluster_node.h"

#include <ctype.h>
#include <sodium.h>

enum { FORMAT = 1, RAW_BYTES_MAX = 2048 };
static const char prefix[] = "cairn-join-";

void join_token_proof(uint8_t out[JOIN_TOKEN_SECRET_BYTES], const uint8_t secret[JOIN_TOKEN_SECRET_BYTES])
{
	static const uint8_t purpose[] = "cairn join token";
	crypto_generichash(out, JOIN_TOKEN_SECRET_BYTES, purpose, sizeof(purpose), secret, JOIN_TOKEN_SECRET_BYTES);
}

int join_token_encode(char text[JOIN_TOKEN_TEXT_BYTES_MAX], const struct join_token *token)
{
	struct buffer raw;
	buffer_init(&raw, RAW_BYTES_MAX);
	pack_array(&raw, 5);
	pack_u64(&raw, FORMAT);
	pack_bytes(&raw, span_of(token->cluster_id, sizeof(token->cluster_id)));
	pack_bytes(&raw, span_of(token->id, sizeof(token->id)));
	pack_bytes(&raw, span_of(token->secret, sizeof(token->secret)));
	pack_array(&raw, (uint32_t)token->nodes_count);
	for (size_t i = 0; i < token->nodes_count; i++) {
		pack_array(&raw, 3);
		pack_u64(&raw, token->nodes[i].node_id);
		pack_bytes(&raw, span_of(token->nodes[i].public_key, NODE_KEY_BYTES));
		pack_text(&raw, span_text(token->nodes[i].address));
	}
	int err = raw.failed ? ERR_TOO_BIG : 0;
	memcpy(text, prefix, sizeof(prefix));
	if (err == 0)
		sodium_bin2base64(text + sizeof(prefix) - 1, JOIN_TOKEN_TEXT_BYTES_MAX - sizeof(prefix) + 1, raw.data, raw.length,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	if (raw.data)
		sodium_memzero(raw.data, raw.length);
	buffer_fini(&raw);
	return err;
}

static bool take_exactly(struct cursor *cursor, uint8_t *out, size_t length)
{
	struct span bytes = cursor_bytes(cursor, length);
	if (bytes.length != length)
		return false;
	memcpy(out, bytes.data, length);
	return true;
}

static bool take_token(struct cursor *cursor, struct join_token *out)
{
	if (cursor_array(cursor, 5) != 5 || cursor_u64(cursor) != FORMAT || !take_exactly(cursor, out->cluster_id, sizeof(out->cluster_id)) ||
		!take_exactly(cursor, out->id, sizeof(out->id)) || !take_exactly(cursor, out->secret, sizeof(out->secret)))
		return false;
	out->nodes_count = cursor_array(cursor, JOIN_TOKEN_NODES_MAX);
	for (size_t i = 0; i < out->nodes_count; i++) {
		struct cluster_node *node = &out->nodes[i];
		if (cursor_array(cursor, 3) != 3)
			return false;
		node->node_id = cursor_u64(cursor);
		if (!take_exactly(cursor, node->public_key, NODE_KEY_BYTES))
			return false;
		struct span address = cursor_text(cursor, sizeof(node->address) - 1);
		if (address.length == 0 || memchr(address.data, 0, address.length))
			return false;
		memcpy(node->address, address.data, address.length);
	}
	return cursor_done(cursor) && out->nodes_count > 0;
}

int join_token_decode(struct join_token *out, const char *text)
{
	uint8_t raw[RAW_BYTES_MAX];
	size_t raw_length = 0;
	*out = (struct join_token){ 0 };
	while (isspace((unsigned char)*text))
		text++;
	size_t length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	if (length <= sizeof(prefix) - 1 || length > JOIN_TOKEN_TEXT_BYTES_MAX || memcmp(text, prefix, sizeof(prefix) - 1) != 0)
		return ERR_INVALID;
	text += sizeof(prefix) - 1;
	length -= sizeof(prefix) - 1;
	if (sodium_base642bin(raw, sizeof(raw), text, length, NULL, &raw_length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return ERR_INVALID;
	struct cursor cursor = cursor_of(span_of(raw, raw_length));
	int err = take_token(&cursor, out) ? 0 : ERR_INVALID;
	sodium_memzero(raw, sizeof(raw));
	return err;
}
