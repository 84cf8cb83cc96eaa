/* quota.c - `cairn quota OWNER [SIZE|none]`. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

/* "1000", "500M", "10G", "2T": bytes, powers of 1024. 0 or -1. */
static int size_read(json_int_t *out, const char *text)
{
	static const char units[] = "KMGTP";
	char *end;
	unsigned long long number = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (!isdigit((unsigned char)text[0]) || (*end && (!unit || end[1])) || number > (unsigned long long)INT64_MAX >> shift)
		return -1;
	*out = (json_int_t)(number << shift);
	return 0;
}

static int print_quota(const struct settings *settings, json_t *quota)
{
	if (settings->json)
		return print_json(quota);
	const json_t *bytes = json_object_get(quota, "bytes");
	printf("%s: %s used of %s\n", member_text(quota, "owner"), text_of_bytes(member_u64(quota, "used")),
		json_is_integer(bytes) ? text_of_bytes(member_u64(quota, "bytes")) : "no limit");
	json_decref(quota);
	return EXIT_OK;
}

int quota_main(const struct settings *settings, int argc, char **argv)
{
	json_t *body = NULL;
	json_int_t bytes = 0;
	if (argc != 2 && argc != 3)
		return usage_error("quota", "quota wants an OWNER, and a SIZE or none to change it");
	if (argc == 3 && strcmp(argv[2], "none") != 0 && size_read(&bytes, argv[2]) != 0)
		return usage_error("quota", "\"%s\" is no size (such as 500M, 10G, 2T, or none)", argv[2]);
	if (argc == 3)
		body = strcmp(argv[2], "none") == 0 ? json_pack("{s:b}", "none", 1) : json_pack("{s:I}", "bytes", bytes);
	json_t *quota = api_once(settings, body ? "POST" : "GET", body, "/api/admin/quotas/%s", argv[1]);
	return quota ? print_quota(settings, quota) : EXIT_FAILED;
}
