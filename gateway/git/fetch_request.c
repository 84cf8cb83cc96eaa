#include "gateway/git/fetch_request.h"

#include "schemas/error.h"

static bool begins(struct span line, const char *text)
{
	size_t length = strlen(text);
	return line.length >= length && memcmp(line.data, text, length) == 0;
}

static enum fetch_command command_of(struct span name)
{
	if (span_equal(name, span_text("fetch")))
		return FETCH_PACK;
	if (span_equal(name, span_text("ls-refs")))
		return FETCH_REFS;
	return span_equal(name, span_text("bundle-uri")) ? FETCH_BUNDLE_URI : FETCH_UNKNOWN;
}

int fetch_request_parse(struct fetch_request *out, unsigned protocol, struct span body)
{
	static const char command[] = "command=";
	struct pkt pkt;
	int got;
	*out = (struct fetch_request){ .command = protocol == 2 ? FETCH_UNKNOWN : FETCH_PACK, .is_empty = true };
	while ((got = pkt_next(&body, &pkt)) == 1) {
		if (pkt.kind != PKT_LINE)
			continue;
		struct span line = pkt_text(&pkt);
		out->is_empty = false;
		if (begins(line, "have "))
			out->has_haves = true;
		if (begins(line, "deepen") || begins(line, "shallow ") || begins(line, "filter "))
			out->is_partial = true;
		if (protocol == 2 && begins(line, command))
			out->command = command_of(span_of(line.data + sizeof(command) - 1, line.length - sizeof(command) + 1));
	}
	return got == 0 && body.length == 0 ? 0 : ERR_CORRUPT;
}
