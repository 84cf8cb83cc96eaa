/* request.h - a request as the server sees it: the head, the memory that dies with it, what its owner decided, and its answer. */
#ifndef CAIRN_GATEWAY_HTTP_REQUEST_H
#define CAIRN_GATEWAY_HTTP_REQUEST_H

#include "gateway/http/connection.h"
#include "gateway/http/worker.h"

#include <sys/uio.h>

enum {
	REQUEST_MEMORY_INLINE_BYTES = 4096,
	REQUEST_BLOCK_BYTES = 8192,
	REQUEST_MEMORY_BYTES_MAX = 32 << 20, /* more: answered 503 */
	REQUEST_ID_BYTES_MAX = 256,          /* longer ids of clients are replaced */
	ACTOR_NAME_BYTES_MAX = 96,
	SMALL_BODY_BYTES_MAX = 16 << 10,     /* answers up to it are one block, one send */
	COLLECT_ON_CONTROL_BYTES_MAX = 64 << 10,
};

/* What the request's owner wants to happen next. */
enum step { STEP_NONE, STEP_REPLY, STEP_COLLECT, STEP_SINK, STEP_WORK, STEP_PAUSE, STEP_RESUME };

struct memory_block {
	struct memory_block *next;
	size_t used, capacity;
	uint8_t data[];
};

/* The body as it comes in. */
struct body {
	uint64_t left;                /* of an announced length */
	struct chunk_decoder decoder; /* when chunked */
	bool complete;                /* nothing of it is unread */
	bool continue_pending;        /* the client waits for our 100 */
	uint64_t received;            /* decoded bytes */
	uint64_t limit;
	http_body_fn collected;       /* collect */
	uint8_t *data;
	size_t capacity, charged;     /* charged: of the server's memory for bodies */
	struct http_sink sink;        /* sink; .write NULL when collecting */
	int err;                      /* what `end` is told */
	int cut_status;               /* it ended early: answered so, whatever its owner says; 0: it did not */
	void *context;
};

struct answer {
	int status;
	struct iovec parts[2];        /* the head (with a small body behind it), a large body */
	void *owned;                  /* free()d with the request */
	size_t owned_bytes;           /* charged to the server's memory for answers */
	bool close;                   /* "Connection: close" was said */
	bool chunked;
	struct http_source source;    /* .read NULL: none */
	uint64_t source_left;         /* UINT64_MAX: until it ends */
	uint64_t sent_bytes;
	/* What was pulled from the source and is not sent yet. */
	uint8_t *buffer;
	size_t buffer_bytes, buffer_begin, buffer_end;
	bool ended, reading;          /* reading: a worker reads it */
	int64_t read_result;
	struct pipe *pipe;            /* extents on their way; NULL: none are, or there was none to be had */
	int extent_fd;
	uint64_t extent_offset;
	size_t extent_left;
};

struct http_request {
	struct connection *connection; /* also the link of the loop's free list */
	struct http_server *server;
	struct http_request *next_free;
	struct memory_block *blocks;
	size_t memory_bytes, inline_used;
	bool on_loop;                  /* its owner runs on the connection's loop, else on a worker */
	bool admitted;                 /* has passed the worker queue's door */
	bool in_flight;
	bool over_budget;
	bool is_stale;                 /* stale_ms says how old what is answered may be */
	enum step step;
	struct job job;
	http_work_fn work;
	void *work_context;
	struct body body;
	struct answer answer;
	const char *id, *base_url, *route;
	void *context;
	char *fields;                  /* answer fields, "Name: value\r\n" each */
	size_t fields_length, fields_capacity;
	uint64_t started_us, head_bytes, stale_ms;
	char actor[ACTOR_NAME_BYTES_MAX];
	struct head head;
	_Alignas(max_align_t) uint8_t inline_memory[REQUEST_MEMORY_INLINE_BYTES];
};

struct http_request *request_make(struct connection *connection);
void request_free(struct http_request *request, struct loop *loop);
/* Not zeroed. */
void *request_memory(struct http_request *request, size_t bytes);
/* Copies and parses it; 0 or the status to refuse it with. */
int request_read_head(struct http_request *request, const uint8_t *data, size_t length);
void request_set_id(struct http_request *request);
const char *request_method_name(const struct http_request *request);
/* Lends it to a worker; false when too many wait already. */
bool request_work_begin(struct http_request *request);
/* A worker has decided: back to the connection's loop. */
void request_give_back(struct http_request *request);

/* body.c: receives what STEP_COLLECT and STEP_SINK ask for. */
void body_start(struct connection *connection);
void body_readable(struct connection *connection);
/* The client is gone. */
void body_failed(struct connection *connection);
/* The client sends too slowly: 408. */
void body_too_slow(struct connection *connection);
void body_waited_too_long(struct connection *connection);
void body_memory_available(struct loop *loop);
void body_release(struct http_request *request);
/* Takes body bytes that nobody wants out of data[0, length); *consumed of them. False: malformed. */
bool body_skip(struct http_request *request, uint8_t *data, size_t length, size_t *consumed);

/* send.c: sends an answer. */
void send_start(struct connection *connection);
void send_writable(struct connection *connection);
void send_failed(struct connection *connection);
/* The peer is what the answer waits for (and not our disk). */
bool send_waits_for_peer(const struct connection *connection);

/* reply.c */
void reply_preflight(struct http_request *request);
/* A refusal that ends the connection. */
void reply_refusal(struct http_request *request, int status);
/* Says that a body ended early, with body.cut_status. */
void reply_cut(struct http_request *request);

#endif
