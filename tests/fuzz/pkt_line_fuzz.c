/* Packets, and the head of a push, over the same bytes; how the bytes are cut must not matter. */
#include "gateway/git/receive_commands.h"

#include <assert.h>

static void fuzz_packets(struct span bytes)
{
	struct buffer out;
	struct pkt pkt;
	struct span rest = bytes;
	buffer_init(&out, 1 << 22);
	while (pkt_next(&rest, &pkt) == 1)
		if (pkt.kind == PKT_LINE)
			assert(pkt_append(&out, pkt.payload) == 0 && pkt_text(&pkt).length <= pkt.payload.length);
	pkt_append_band(&out, BAND_MESSAGE, bytes);
	struct span again = buffer_span(&out);
	while (pkt_next(&again, &pkt) == 1)
		assert(pkt.kind == PKT_LINE);
	assert(again.length == 0);
	buffer_fini(&out);
}

static int take(struct receive_commands *commands, struct span bytes, size_t piece)
{
	struct why why = { 0 };
	int got = 0;
	receive_commands_init(commands);
	for (size_t at = 0, used; got == 0 && at < bytes.length; at += used) {
		size_t length = bytes.length - at < piece ? bytes.length - at : piece;
		got = receive_commands_take(commands, span_of(bytes.data + at, length), &used, &why);
		assert(used <= length && (got >= 0 || why.text[0]));
		if (got)
			break;
	}
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct receive_commands whole, pieces;
	fuzz_packets(bytes);
	int a = take(&whole, bytes, size + 1), b = take(&pieces, bytes, size ? 1 + data[0] % 7 : 1);
	assert(a == b);
	if (a == 1)
		assert(whole.count == pieces.count && receive_commands_need_pack(&whole) == receive_commands_need_pack(&pieces));
	receive_commands_fini(&whole);
	receive_commands_fini(&pieces);
	return 0;
}
