#include "schemas/ssh_public_key.h"

#include <sodium.h>

static const char fingerprint_prefix[] = "SHA256:";

/* ------------------------------------------------------------------ the blob */

/* A field: u32 length, big-endian, and that many bytes. False at the end of the blob. */
static bool take_field(struct span *blob, struct span *out)
{
	if (blob->length < 4)
		return false;
	size_t length = (size_t)blob->data[0] << 24 | (size_t)blob->data[1] << 16 | (size_t)blob->data[2] << 8 | blob->data[3];
	if (length > blob->length - 4)
		return false;
	*out = span_of(blob->data + 4, length);
	*blob = span_of(blob->data + 4 + length, blob->length - 4 - length);
	return true;
}

static bool take_text(struct span *blob, const char *text)
{
	struct span field;
	return take_field(blob, &field) && span_equal(field, span_text(text));
}

/* A positive number in its one encoding; its bits, 0 for anything else. */
static size_t take_number(struct span *blob, struct span *out)
{
	if (!take_field(blob, out) || out->length == 0 || out->data[0] >= 0x80)
		return 0;
	if (out->data[0] == 0) {
		*out = span_of(out->data + 1, out->length - 1);
		if (out->length == 0 || out->data[0] < 0x80)
			return 0;
	}
	size_t bits = (out->length - 1) * 8;
	for (uint8_t top = out->data[0]; top; top >>= 1)
		bits++;
	return bits;
}

static int check_rsa(struct span *blob, struct why *why)
{
	struct span exponent, modulus;
	size_t exponent_bits = take_number(blob, &exponent), bits = take_number(blob, &modulus);
	if (exponent_bits < 2 || exponent_bits > 64 || !(exponent.data[exponent.length - 1] & 1) || bits == 0)
		return why_set(why, ERR_INVALID, "The numbers of this RSA key are malformed");
	if (bits < SSH_RSA_BITS_MIN || bits > SSH_RSA_BITS_MAX)
		return why_set(why, ERR_INVALID, "This RSA key has %zu bits; %d to %d are accepted (better: ssh-keygen -t ed25519)", bits,
			SSH_RSA_BITS_MIN, SSH_RSA_BITS_MAX);
	return modulus.data[modulus.length - 1] & 1 ? 0 : why_set(why, ERR_INVALID, "The numbers of this RSA key are malformed");
}

static bool take_point(struct span *blob, const char *curve, size_t coordinate_bytes)
{
	struct span point;
	return take_text(blob, curve) && take_field(blob, &point) && point.length == 1 + 2 * coordinate_bytes && point.data[0] == 4;
}

static bool take_ed25519(struct span *blob)
{
	struct span key;
	return take_field(blob, &key) && key.length == 32;
}

/* What a security key signs for: "ssh:" and perhaps more. */
static bool take_application(struct span *blob)
{
	struct span application;
	return take_field(blob, &application) && application.length >= 4 && application.length <= 255 && memcmp(application.data, "ssh:", 4) == 0;
}

enum shape { SHAPE_ED25519, SHAPE_ECDSA, SHAPE_RSA };
static const struct key_type {
	const char *name;
	enum shape shape;
	const char *curve;
	size_t coordinate_bytes;
	bool has_application;
} key_types[] = {
	{ "ssh-ed25519", SHAPE_ED25519, NULL, 0, false },
	{ "ecdsa-sha2-nistp256", SHAPE_ECDSA, "nistp256", 32, false },
	{ "ecdsa-sha2-nistp384", SHAPE_ECDSA, "nistp384", 48, false },
	{ "ecdsa-sha2-nistp521", SHAPE_ECDSA, "nistp521", 66, false },
	{ "ssh-rsa", SHAPE_RSA, NULL, 0, false },
	{ "sk-ssh-ed25519@openssh.com", SHAPE_ED25519, NULL, 0, true },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", SHAPE_ECDSA, "nistp256", 32, true },
};

static int check_blob(const struct key_type *type, struct span blob, struct why *why)
{
	if (!take_text(&blob, type->name))
		return why_set(why, ERR_INVALID, "The key says it is \"%s\", its content says otherwise", type->name);
	if (type->shape == SHAPE_RSA) {
		int err = check_rsa(&blob, why);
		if (err)
			return err;
	} else if (type->shape == SHAPE_ED25519 ? !take_ed25519(&blob) : !take_point(&blob, type->curve, type->coordinate_bytes)) {
		return why_set(why, ERR_INVALID, "The content of this %s key is malformed", type->name);
	}
	if ((type->has_application && !take_application(&blob)) || blob.length)
		return why_set(why, ERR_INVALID, "The content of this %s key is malformed", type->name);
	return 0;
}

/* ------------------------------------------------------------------ the line */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trimmed(struct span text)
{
	while (text.length && (is_blank(text.data[0]) || text.data[0] == '\r'))
		text = span_of(text.data + 1, text.length - 1);
	while (text.length && (is_blank(text.data[text.length - 1]) || text.data[text.length - 1] == '\r'))
		text.length--;
	return text;
}

static struct span take_word(struct span *line)
{
	size_t length = 0;
	while (length < line->length && !is_blank(line->data[length]))
		length++;
	struct span word = span_of(line->data, length);
	*line = trimmed(span_of(line->data + length, line->length - length));
	return word;
}

/* The one line that says something. */
static int find_line(struct span *out, struct span text, struct why *why)
{
	*out = span_of(NULL, 0);
	for (size_t at = 0; at < text.length;) {
		const uint8_t *end = memchr(text.data + at, '\n', text.length - at);
		size_t length = end ? (size_t)(end - text.data) - at : text.length - at;
		struct span line = trimmed(span_of(text.data + at, length));
		at += length + 1;
		if (line.length == 0 || line.data[0] == '#')
			continue;
		if (line.length >= 5 && memcmp(line.data, "-----", 5) == 0)
			return why_set(why, ERR_INVALID, "This is not a public key; never give a private key away. The public one is in the file that ends in .pub");
		if (out->length)
			return why_set(why, ERR_INVALID, "There is more than one key; add them one by one");
		*out = line;
	}
	return out->length ? 0 : why_set(why, ERR_INVALID, "There is no key");
}

static const struct key_type *type_of(struct span word)
{
	for (size_t i = 0; i < sizeof(key_types) / sizeof(key_types[0]); i++)
		if (span_equal(word, span_text(key_types[i].name)))
			return &key_types[i];
	return NULL;
}

static int refuse_type(struct span word, struct span rest, struct why *why)
{
	if (span_equal(word, span_text("ssh-dss")))
		return why_set(why, ERR_INVALID, "DSA keys are too weak to be accepted; make one with: ssh-keygen -t ed25519");
	while (rest.length)
		if (type_of(take_word(&rest)))
			return why_set(why, ERR_INVALID, "Options before a key are not accepted; begin with its type");
	return why_set(why, ERR_INVALID, "A public key begins with its type: ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa, ...");
}

static void copy_comment(char out[SSH_KEY_COMMENT_BYTES_MAX], struct span comment)
{
	size_t length = comment.length < SSH_KEY_COMMENT_BYTES_MAX - 1 ? comment.length : SSH_KEY_COMMENT_BYTES_MAX - 1;
	for (size_t i = 0; i < length; i++)
		out[i] = comment.data[i] >= 0x20 && comment.data[i] < 0x7f ? (char)comment.data[i] : '?';
	out[length] = 0;
}

int ssh_public_key_parse(struct ssh_public_key *out, struct span text, struct why *why)
{
	memset(out, 0, sizeof(*out));
	struct span line;
	if (text.length > SSH_KEY_LINE_BYTES_MAX)
		return why_set(why, ERR_INVALID, "A public key has at most %d bytes", SSH_KEY_LINE_BYTES_MAX);
	if (memchr(text.data ? text.data : (const uint8_t *)"", 0, text.length))
		return why_set(why, ERR_INVALID, "A public key is text");
	int err = find_line(&line, text, why);
	if (err)
		return err;
	struct span word = take_word(&line), base64 = take_word(&line);
	const struct key_type *type = type_of(word);
	if (!type) {
		struct span rest = span_of(base64.data, (size_t)(line.data + line.length - base64.data));
		return refuse_type(word, rest, why);
	}
	uint8_t blob[SSH_KEY_BLOB_BYTES_MAX];
	size_t length = 0;
	if (base64.length == 0 || sodium_base642bin(blob, sizeof(blob), (const char *)base64.data, base64.length, NULL, &length, NULL,
					  sodium_base64_VARIANT_ORIGINAL) != 0)
		return why_set(why, ERR_INVALID, "What follows the type of the key is not base64, or too long");
	err = check_blob(type, span_of(blob, length), why);
	if (err)
		return err;
	memcpy(out->type, type->name, strlen(type->name) + 1);
	memcpy(out->base64, base64.data, base64.length);
	copy_comment(out->comment, line);
	crypto_hash_sha256(out->fingerprint.bytes, blob, length);
	return 0;
}

/* ------------------------------------------------------------------ fingerprints */

void ssh_fingerprint_to_text(char out[SSH_KEY_FINGERPRINT_BYTES], const struct hash *fingerprint)
{
	size_t prefix = sizeof(fingerprint_prefix) - 1;
	memcpy(out, fingerprint_prefix, prefix);
	sodium_bin2base64(out + prefix, SSH_KEY_FINGERPRINT_BYTES - prefix, fingerprint->bytes, HASH_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int ssh_fingerprint_from_text(struct hash *out, struct span text)
{
	size_t prefix = sizeof(fingerprint_prefix) - 1, length = 0;
	if (text.length > prefix && memcmp(text.data, fingerprint_prefix, prefix) == 0)
		text = span_of(text.data + prefix, text.length - prefix);
	if (text.length != SSH_KEY_FINGERPRINT_BYTES - 1 - prefix ||
		sodium_base642bin(out->bytes, HASH_BYTES, (const char *)text.data, text.length, NULL, &length, NULL,
			sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 ||
		length != HASH_BYTES)
		return ERR_INVALID;
	return 0;
}
