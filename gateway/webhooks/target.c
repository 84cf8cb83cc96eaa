#include "gateway/webhooks/target.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool target_private_allowed(void)
{
	const char *value = getenv("CAIRN_WEBHOOKS_PRIVATE");
	return value && strcmp(value, "1") == 0;
}

static bool v4_is_public(uint32_t address)
{
	static const struct {
		uint32_t network;
		int bits;
	} closed[] = {
		{ 0x00000000, 8 }, { 0x0a000000, 8 }, { 0x64400000, 10 }, { 0x7f000000, 8 }, { 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 24 },
		{ 0xc0000200, 24 }, { 0xc0586300, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xc6336400, 24 }, { 0xcb007100, 24 }, { 0xe0000000, 3 },
	};
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		if ((address ^ closed[i].network) >> (32 - closed[i].bits) == 0)
			return false;
	return true;
}

static uint32_t v4_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool v6_is_public(const uint8_t bytes[16])
{
	static const uint8_t zeros[16], mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, translated[12] = { 0, 0x64, 0xff, 0x9b };
	if (memcmp(bytes, mapped, 12) == 0 || memcmp(bytes, translated, 12) == 0)
		return v4_is_public(v4_at(bytes + 12));
	if (memcmp(bytes, zeros, 12) == 0) /* unspecified, loopback, and IPv4 of an older form */
		return false;
	if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4 */
		return v4_is_public(v4_at(bytes + 2));
	bool teredo = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 && bytes[3] == 0;
	bool documentation = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0x0d && bytes[3] == 0xb8;
	return (bytes[0] & 0xe0) == 0x20 && !teredo && !documentation; /* 2000::/3 is all that is given out */
}

bool target_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof(v4));
		return v4_is_public(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof(v6));
		return v6_is_public(v6.sin6_addr.s6_addr);
	}
	return false;
}

/* A host that is an address, or that every machine has for itself. */
static bool host_is_closed(const char *host)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char bare[128];
	size_t length = strlen(host);
	if (host[0] == '[' && length > 2 && length < sizeof(bare)) {
		memcpy(bare, host + 1, length - 2);
		bare[length - 2] = 0;
		char *zone = strchr(bare, '%');
		if (zone)
			*zone = 0;
		return inet_pton(AF_INET6, bare, &v6.sin6_addr) != 1 || !target_is_public((struct sockaddr *)&v6);
	}
	if (inet_aton(host, &v4.sin_addr)) /* also "127.1" and "0x7f000001" */
		return !target_is_public((struct sockaddr *)&v4);
	bool is_local = strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0;
	return is_local || (length > 10 && strcasecmp(host + length - 10, ".localhost") == 0);
}

static int check_parts(CURLU *url, bool private_allowed, struct why *why)
{
	char *scheme = NULL, *host = NULL, *user = NULL;
	int err = 0;
	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		err = why_set(why, ERR_INVALID, "The address of a webhook begins with http:// or https://");
	else if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
		err = why_set(why, ERR_INVALID, "The address of a webhook needs a host");
	else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
		err = why_set(why, ERR_INVALID, "The address of a webhook must not hold a user name");
	else if (!private_allowed && host_is_closed(host))
		err = why_set(why, ERR_INVALID, "The address of a webhook must be on the public internet");
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	return err;
}

int target_url_check(const char *url, bool private_allowed, struct why *why)
{
	for (const char *at = url; *at; at++)
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
			return why_set(why, ERR_INVALID, "The address of a webhook holds a blank or a control character");
	CURLU *parsed = curl_url();
	if (!parsed)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	int err = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK ? check_parts(parsed, private_allowed, why) :
		why_set(why, ERR_INVALID, "The address of a webhook is not a URL");
	curl_url_cleanup(parsed);
	return err;
}
