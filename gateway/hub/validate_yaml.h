/* validate_yaml.h - POST /api/validate-yaml: is the front matter of this README acceptable? Always answers JSON, whatever the content. */
#ifndef CAIRN_GATEWAY_HUB_VALIDATE_YAML_H
#define CAIRN_GATEWAY_HUB_VALIDATE_YAML_H

#include "gateway/gateway.h"

void validate_yaml(struct http_request *request, const struct route_match *match);

enum { FINDINGS_MAX = 16, FINDING_BYTES_MAX = 256 };

struct findings {
	char errors[FINDINGS_MAX][FINDING_BYTES_MAX];
	char warnings[FINDINGS_MAX][FINDING_BYTES_MAX];
	size_t errors_count, warnings_count;
};
/* Checks a README's front matter by the rules of the repository type. */
void readme_check(struct span readme, enum repo_type type, struct findings *out);
bool license_known(const char *id);

#endif
