/* Public keys as people paste them: taken when sound, refused with a sentence when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "schemas/ssh_public_key.h"

static const char ed25519[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKINjX1ciToTeWVmeNpSbrCil/w1U5Rsh3R5jqDLq9Eb";

/* Made by ssh-keygen, which also told the fingerprints. */
static const struct {
	const char *line, *type, *fingerprint;
} sound[] = {
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKINjX1ciToTeWVmeNpSbrCil/w1U5Rsh3R5jqDLq9Eb",
		"ssh-ed25519", "SHA256:phuUMxO4r4MtpS8CRRQ9E3Done9R5/K/6uXHNhgFiCU" },
	{ "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBG3H3kINDR8olmle+qn8xTYOjItR04n1lmWog5EnSjHgb2NYSdFd4Va5Vt3izJz6vxpEjUSAmTlvRbwTEul/y+4=",
		"ecdsa-sha2-nistp256", "SHA256:Pfu15/XM7oCCAdYjooisaaGdps8IjKg/LANxSqsHyMY" },
	{ "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBIPCB2PoowvJlhJm2odzc2epSSdtJpWzJ5nea1Yxyk1ssEEZuigi/o0jpQC8iNZxmiz11dFWYMMgwakWaaYfy781MexU1eo7gws9LwmlhB9btKoTspFCodjfE/mgXpKrTA==",
		"ecdsa-sha2-nistp384", "SHA256:DcqrkV6M2nESJw3b02jp7XV12toDLSkainaFkLMC5ko" },
	{ "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADMvEHkBJMt1TfNF7Rq1FnGQ2FI7C2epzomWx8JMCCcsz8BgqNin8OUJJtoRZjvzwxUnWgT8JwLDt9lE4W5V8SD8wE6j08YqDFZpmexl6XLtZOy8ow8bL4vomAlPET0EkzL74laT64ZSuLJNwtFFox8c1P5+WHOTeM/0ZzxqzYu4am93w==",
		"ecdsa-sha2-nistp521", "SHA256:g4x33cCnmSP3a01L8A0cixzKlaGMHj8esAlmzx9nSZU" },
	{ "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC0AVcVtnqfihzPAmRrp7/wwBhHXnoatswW+Gu5s+PauXSuQMIIG/2gOq31StPZfnNra124zQglez/6DETU9mZ42PD7Hn26wgvw304/OIRizdYqUAlJ24VZkV2mWRcjRV2gFiWCkxexxOxd26LyGubFdELHXdeqBd9wH6DrEb9MVTHyWeELNjsDmJCmrs7SpRYSV/DRqnakLB8czTA02CcY51Brpyh03z5iJ6P3X6PQzXfVkaeZYHbds+V9mNX8a15OnLEuvtFoNcyKRXNbr7xwU7JqDYl6vjSU8AEHR1yv1F5yTPUfvlMyxeF9TK0qKZ1qR0RzAV5VICqo5+rZWLsJ",
		"ssh-rsa", "SHA256:voZTQk4Dj+e5kJJSzSGGUzmnm2YX6K4LL3rslOmPjCc" },
};

static int parse(struct ssh_public_key *out, const char *text)
{
	struct why why = { 0 };
	int err = ssh_public_key_parse(out, span_text(text), &why);
	assert_int_equal(err != 0, why.text[0] != 0);
	return err;
}

static void refused(const char *text, const char *sentence)
{
	struct ssh_public_key key;
	struct why why = { 0 };
	assert_int_equal(ERR_INVALID, ssh_public_key_parse(&key, span_text(text), &why));
	if (!strstr(why.text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", why.text, sentence);
}

static void keys_of_every_type_have_the_fingerprint_that_ssh_keygen_shows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		struct ssh_public_key key;
		char text[SSH_KEY_FINGERPRINT_BYTES], line[4096];
		struct hash back;
		assert_int_equal(0, parse(&key, sound[i].line));
		assert_string_equal(sound[i].type, key.type);
		snprintf(line, sizeof(line), "%s %s", key.type, key.base64);
		assert_string_equal(sound[i].line, line);
		ssh_fingerprint_to_text(text, &key.fingerprint);
		assert_string_equal(sound[i].fingerprint, text);
		assert_int_equal(0, ssh_fingerprint_from_text(&back, span_text(text)));
		assert_memory_equal(&back, &key.fingerprint, sizeof(back));
		assert_int_equal(0, ssh_fingerprint_from_text(&back, span_text(text + strlen("SHA256:"))));
	}
}

static void keys_in_security_tokens_are_taken(void **state)
{
	(void)state;
	struct ssh_public_key key;
	assert_int_equal(0, parse(&key, "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo="));
	assert_int_equal(0, parse(&key, "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIc3NoOndvcms="));
}

static void blanks_comments_and_line_ends_around_a_key_do_not_matter(void **state)
{
	(void)state;
	struct ssh_public_key key;
	char text[1024];
	snprintf(text, sizeof(text), "# my key\r\n\n  %s \t ada's laptop \x01\xc3\xa9\r\n\n", ed25519);
	assert_int_equal(0, parse(&key, text));
	assert_string_equal("ada's laptop ???", key.comment);
	assert_int_equal(0, parse(&key, ed25519));
	assert_string_equal("", key.comment);
}

static void a_long_comment_is_cut(void **state)
{
	(void)state;
	struct ssh_public_key key;
	char text[1024];
	snprintf(text, sizeof(text), "%s %0*d", ed25519, 300, 7);
	assert_int_equal(0, parse(&key, text));
	assert_int_equal(SSH_KEY_COMMENT_BYTES_MAX - 1, strlen(key.comment));
}

static void what_is_no_key_is_refused_with_the_reason(void **state)
{
	(void)state;
	char text[SSH_KEY_LINE_BYTES_MAX + 64];
	refused("", "no key");
	refused("# only a remark\n", "no key");
	refused("hello", "begins with its type");
	refused("ssh-ed25519", "base64");
	refused("ssh-ed25519 !!!!", "base64");
	refused("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "private key");
	snprintf(text, sizeof(text), "command=\"rm -rf /\",no-pty %s", ed25519);
	refused(text, "Options");
	snprintf(text, sizeof(text), "%s\n%s\n", ed25519, ed25519);
	refused(text, "more than one");
	snprintf(text, sizeof(text), "%s %0*d", ed25519, SSH_KEY_LINE_BYTES_MAX, 7);
	refused(text, "at most");
	refused("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDIC1xeLTmpjmeA64qdSf5vOp1IF0D/rZJacgFlDfOIlrnQNlSs+Truw6BvXskNd6IHvG87zeePPGNL2fi4jLDneqUW+RzfD5ywGvLxwsdg49Pp33WkiETJ6u6nC4m/dPit3CyC1zmCz3OChcu8HfqQSd8t79i05VMqRa6YyBMp/Q==",
		"1024 bits");
	refused("ssh-dss AAAAB3NzaC1kc3MAAACBAMOwFOZbvdVDAx9HFD5MlQ1Fr8onUYcavpBLullP+shNSWEf1xdvwYhoPfl/scIK4FuRebsAod5GaH4NASpUvSifpjOQacAnuv93a7CTSrUAKAT6FeqLMg949wYq3dC/+uLgKfDCQ44b+W05IPr8GtWnOZ8eksOoEzJ9E2FryVwhAAAAFQDeUU2v1R08zgzTyE3D21fFupIvrQAAAIBCcBfrS3P2gswjyHtYwyoNwhl/G9XvlcJsAyGe0NF//XOI5tynWrQs1teXqdi3Nbw/uaaQL4tJ/mkMNDjUuAgLpSjkB+eFyY5veG2qwfxPmQjBiNuvv8ZPlYGDRxKM2SG4ZKICLuL0mjJDulUPtTKpnVxS0/8LTOuFIWN41gMRUgAAAIAD5hZyFK0yeTsiptkDeqBQBvCq4szzaimApH2OkzA8WMmIbeLSudkpv6rZqN42u2g54jxqoDs+2FO9Bc0gjuhzUfE6nFnyyXsoB4FnIz3LGV4w5B57cigrCoAfmMH8jpUtm2ARW4IplT7ESRJCBF1r5J4JPPyZBpUjKySvHmTLnw==",
		"DSA");
	struct ssh_public_key key;
	assert_int_equal(ERR_INVALID, ssh_public_key_parse(&key, span_of("ssh-ed25519\0AAAA", 16), NULL));
	assert_int_equal(ERR_INVALID, ssh_public_key_parse(&key, span_of(NULL, 0), NULL));
}

static void a_blob_that_is_not_what_its_type_says_is_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"ssh-ed25519 AAAAB3NzaC1yc2EAAAAgAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4feA==",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAAAA==",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
		"ssh-ed25519 AAAAAA==",
		"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABBBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABXdlYjp4",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAQAAAQEA/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////w==",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAgAAAQEA/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////w==",
		"ssh-rsa AAAAB3NzaC1yc2EAAAAAAAABAQD/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAwAAAQD/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAwAAAQIAAP////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////8=",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAwAAAQEA/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////g==",
		"ssh-rsa AAAAB3NzaC1yc2EAAAAJAwMDAwMDAwMDAAABAQD/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAwAAAAA=",
		"ssh-rsa AAAAB3NzaC1yc2EAAAABAw==",
	};
	struct ssh_public_key key;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (parse(&key, lines[i]) != ERR_INVALID)
			fail_msg("\"%s\" was taken", lines[i]);
}

static void every_cut_of_a_key_is_refused(void **state)
{
	(void)state;
	struct ssh_public_key key;
	for (size_t length = 0; length < strlen(ed25519); length++)
		assert_int_equal(ERR_INVALID, ssh_public_key_parse(&key, span_of(ed25519, length), NULL));
}

static void fingerprints_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "SHA256:", "MD5:00:11", "SHA256:phuUMxO4r4MtpS8CRRQ9E3Done9R5/K/6uXHNhgFiC",
		"SHA256:phuUMxO4r4MtpS8CRRQ9E3Done9R5/K/6uXHNhgFiCUU", "SHA256:phuUMxO4r4MtpS8CRRQ9E3Done9R5/K/6uXHNhgFi U",
		"SHA256:phuUMxO4r4MtpS8CRRQ9E3Done9R5/K/6uXHNhgFiCU=" };
	struct hash out;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(ERR_INVALID, ssh_fingerprint_from_text(&out, span_text(texts[i])));
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_every_type_have_the_fingerprint_that_ssh_keygen_shows),
		cmocka_unit_test(keys_in_security_tokens_are_taken),
		cmocka_unit_test(blanks_comments_and_line_ends_around_a_key_do_not_matter),
		cmocka_unit_test(a_long_comment_is_cut),
		cmocka_unit_test(what_is_no_key_is_refused_with_the_reason),
		cmocka_unit_test(a_blob_that_is_not_what_its_type_says_is_refused),
		cmocka_unit_test(every_cut_of_a_key_is_refused),
		cmocka_unit_test(fingerprints_that_are_none_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
