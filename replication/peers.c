#include "replication/peers.h"

#include "replication/node.h"
#include "replication/peer_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, BACKLOG = 128, HOST_BYTES_MAX = 128 };

struct incoming {
	uv_tcp_t tcp;
	struct peers *peers;
	struct incoming *next;
	uint64_t since_ms, heard_ms, peer, instance;
	uint32_t feature_level; /* what its program knows */
	char address[64];
	bool greeted, heard, closing; /* heard: a record opened */
	struct peer_channel channel;
	struct buffer in;
};

enum call_state { CALL_IDLE, CALL_RESOLVING, CALL_CONNECTING, CALL_GREETING, CALL_OPEN };
struct peer {
	struct peers *peers;
	struct cluster_node member;
	char learned[NODE_ADDRESS_BYTES_MAX]; /* what it said itself, while its record says something else; "" */
	bool used, guest;                     /* guest: a member of whom no record has come yet */
	enum call_state state;
	struct connection *connection; /* NULL when idle */
	uint64_t retry_ms, retry_at_ms;
	char trouble[128];
	bool told;
};

/* An outgoing connection: lives until its handle is closed, when its peer may have another one already. */
struct connection {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_getaddrinfo_t resolve;
	uv_write_t write;
	struct peers *peers;
	struct peer *peer; /* NULL: given up */
	uint64_t since_ms;
	struct peer_channel channel;
	uint8_t welcome[PEER_WELCOME_BYTES];
	size_t welcome_length;
	struct buffer queued, writing;
	bool is_writing, resolving, closed;
};

struct peers {
	uv_loop_t *loop;
	uv_tcp_t listener;
	uv_timer_t tick;
	struct peers_config config;
	struct cluster_view view;
	struct peer table[CLUSTER_NODES_MAX];
	struct incoming *incoming;
	size_t incoming_count;
	uint64_t instance;
	double greetings; /* tokens of the bucket */
	uint64_t greetings_at_ms;
	unsigned port;
	char address[NODE_ADDRESS_BYTES_MAX];
	bool closing;
	struct buffer plain, room; /* of what is opened; of what is sealed: for a cipher that does not work in place */
	uint8_t read_buffer[READ_BYTES];
};

static uint64_t now_ms(const struct peers *peers)
{
	return uv_now(peers->loop);
}

/* ---- addresses ---- */

static int split_address(const char *address, char host[HOST_BYTES_MAX], char port[8])
{
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	if (!colon || length >= HOST_BYTES_MAX || strlen(colon + 1) > 5 || colon[1] == 0)
		return ERR_INVALID;
	bool bracketed = length >= 2 && address[0] == '[' && address[length - 1] == ']';
	snprintf(host, HOST_BYTES_MAX, "%.*s", (int)(bracketed ? length - 2 : length), bracketed ? address + 1 : address);
	snprintf(port, 8, "%s", colon + 1);
	return 0;
}

static int parse_listen(struct sockaddr_storage *out, const char *address)
{
	char host[HOST_BYTES_MAX], port[8], *end;
	if (split_address(address, host, port) != 0)
		return ERR_INVALID;
	unsigned long number = strtoul(port, &end, 10);
	if (*end || number > 65535)
		return ERR_INVALID;
	if (strchr(host, ':'))
		return uv_ip6_addr(host, (int)number, (struct sockaddr_in6 *)out) == 0 ? 0 : ERR_INVALID;
	return uv_ip4_addr(host[0] ? host : "0.0.0.0", (int)number, (struct sockaddr_in *)out) == 0 ? 0 : ERR_INVALID;
}

/* ---- calling: outgoing connections ---- */

static void connection_free(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	if (connection->resolving) { /* the answer frees it */
		connection->closed = true;
		return;
	}
	buffer_fini(&connection->queued);
	buffer_fini(&connection->writing);
	peer_channel_wipe(&connection->channel);
	free(connection);
}

static void hang_up(struct peer *peer, const char *trouble)
{
	struct connection *connection = peer->connection;
	if (!connection)
		return;
	peer->connection = NULL;
	connection->peer = NULL;
	if (connection->resolving)
		uv_cancel((uv_req_t *)&connection->resolve);
	uv_close((uv_handle_t *)&connection->tcp, connection_free);
	peer->state = CALL_IDLE;
	peer->retry_ms = peer->retry_ms ? peer->retry_ms * 2 : PEER_RETRY_MS_MIN;
	if (peer->retry_ms > PEER_RETRY_MS_MAX)
		peer->retry_ms = PEER_RETRY_MS_MAX;
	peer->retry_at_ms = now_ms(peer->peers) + peer->retry_ms / 2 + randombytes_uniform((uint32_t)peer->retry_ms);
	snprintf(peer->trouble, sizeof(peer->trouble), "%s", trouble);
}

static void flush(struct connection *connection);

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = write->data;
	connection->is_writing = false;
	buffer_clear(&connection->writing);
	if (!connection->peer)
		return;
	if (status < 0)
		hang_up(connection->peer, uv_strerror(status));
	else
		flush(connection);
}

static void flush(struct connection *connection)
{
	if (connection->is_writing || connection->queued.length == 0)
		return;
	uv_buf_t bytes = uv_buf_init((char *)connection->queued.data, (unsigned)connection->queued.length);
	int written = uv_try_write((uv_stream_t *)&connection->tcp, &bytes, 1);
	if (written == (int)connection->queued.length) {
		buffer_clear(&connection->queued);
		return;
	}
	struct buffer swap = connection->writing;
	connection->writing = connection->queued;
	connection->queued = swap;
	bytes.base += written > 0 ? written : 0; /* what went wrong is told by the callback */
	bytes.len -= written > 0 ? (size_t)written : 0;
	connection->write.data = connection;
	connection->is_writing = true;
	if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &bytes, 1, on_written) != 0) {
		connection->is_writing = false;
		hang_up(connection->peer, "the connection broke");
	}
}

static void take_welcome(struct connection *connection)
{
	struct peer *peer = connection->peer;
	enum peer_status status;
	uint64_t node_id;
	int err = peer_channel_called(&connection->channel, &peer->peers->config.keys, connection->welcome, &status, &node_id);
	if (err) {
		hang_up(peer, err == ERR_UNSUPPORTED ? "it answers by a version of the protocol that this program does not know" :
			"what answers there is not the node that was called");
		return;
	}
	if (status != PEER_ACCEPTED) {
		if (!peer->told)
			fprintf(stderr, "cairn: cluster: node %016llx at %s refuses this node: %s\n", (unsigned long long)peer->member.node_id, peer->member.address,
				peer_status_sentence(status));
		peer->told = true;
		if (status == PEER_REMOVED)
			peer->peers->config.calls.removed(peer->peers->config.calls.context);
		hang_up(peer, peer_status_sentence(status));
		peer->retry_at_ms = now_ms(peer->peers) + PEER_RETRY_MS_MAX;
		return;
	}
	peer->state = CALL_OPEN;
	peer->retry_ms = 0;
	peer->told = false;
	peer->trouble[0] = 0;
	peers_send(peer->peers, peer->member.node_id, FRAME_ADDRESS, 0, span_text(peer->peers->address));
}

static void on_call_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes)
{
	struct connection *connection = stream->data;
	if (!connection->peer || length == 0)
		return;
	if (length < 0) {
		hang_up(connection->peer, connection->peer->state == CALL_OPEN ? "it hung up" : "it hung up: another cluster, or it does not know this node yet");
		return;
	}
	size_t room = sizeof(connection->welcome) - connection->welcome_length;
	if ((size_t)length > room) {
		hang_up(connection->peer, "it says more than a peer does");
		return;
	}
	memcpy(connection->welcome + connection->welcome_length, bytes->base, (size_t)length);
	connection->welcome_length += (size_t)length;
	if (connection->welcome_length == sizeof(connection->welcome))
		take_welcome(connection);
}

/* All connections share one buffer: what it holds is taken before the next read. */
static void give_call_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)suggested;
	*out = uv_buf_init((char *)((struct connection *)handle->data)->peers->read_buffer, READ_BYTES);
}

static void tune(const uv_tcp_t *tcp)
{
	uv_os_fd_t fd;
	unsigned dead_ms = PEER_DEAD_MS;
	if (uv_fileno((const uv_handle_t *)tcp, &fd) == 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

static void on_connected(uv_connect_t *request, int status)
{
	struct connection *connection = request->data;
	struct peer *peer = connection->peer;
	if (!peer)
		return;
	if (status < 0) {
		hang_up(peer, uv_strerror(status));
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	tune(&connection->tcp);
	peer->state = CALL_GREETING;
	connection->since_ms = now_ms(peer->peers);
	const struct peers_config *config = &peer->peers->config;
	struct peer_hello hello = { .purpose = PEER_MESSAGES, .feature_level = config->feature_level, .from = config->node_id,
		.to = peer->member.node_id, .instance = peer->peers->instance };
	uint8_t *out = buffer_reserve(&connection->queued, PEER_HELLO_BYTES);
	if (!out || peer_channel_call(&connection->channel, config->cluster_id, &config->keys, peer->member.public_key, &hello, peer->peers->view.secret,
		out) != 0) {
		hang_up(peer, "its key is no key");
		return;
	}
	connection->queued.length += PEER_HELLO_BYTES;
	uv_read_start((uv_stream_t *)&connection->tcp, give_call_buffer, on_call_read);
	flush(connection);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct connection *connection = request->data;
	connection->resolving = false;
	if (connection->closed) {
		uv_freeaddrinfo(list);
		connection_free((uv_handle_t *)&connection->tcp);
		return;
	}
	struct peer *peer = connection->peer;
	if (peer && (status < 0 || !list)) {
		hang_up(peer, status < 0 ? uv_strerror(status) : "its name has no address");
	} else if (peer) {
		peer->state = CALL_CONNECTING;
		connection->connect.data = connection;
		int rv = uv_tcp_connect(&connection->connect, &connection->tcp, list->ai_addr, on_connected);
		if (rv < 0)
			hang_up(peer, uv_strerror(rv));
	}
	uv_freeaddrinfo(list);
}

static void call(struct peer *peer)
{
	char host[HOST_BYTES_MAX], port[8];
	struct peers *peers = peer->peers;
	peer->retry_at_ms = now_ms(peers) + PEER_RETRY_MS_MAX;
	if (!peers->view.has_secret || split_address(peer->learned[0] ? peer->learned : peer->member.address, host, port) != 0) {
		snprintf(peer->trouble, sizeof(peer->trouble), "its address is not HOST:PORT");
		return;
	}
	struct connection *connection = must_alloc(sizeof(*connection));
	connection->peers = peers;
	connection->peer = peer;
	connection->since_ms = now_ms(peers);
	buffer_init(&connection->queued, PEER_QUEUE_BYTES_MAX);
	buffer_init(&connection->writing, PEER_QUEUE_BYTES_MAX);
	uv_tcp_init(peers->loop, &connection->tcp);
	connection->tcp.data = connection;
	connection->resolve.data = connection;
	peer->connection = connection;
	peer->state = CALL_RESOLVING;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	connection->resolving = true;
	int rv = uv_getaddrinfo(peers->loop, &connection->resolve, on_resolved, host, port, &hints);
	if (rv < 0) {
		connection->resolving = false;
		hang_up(peer, uv_strerror(rv));
	}
}

bool peers_send(struct peers *peers, uint64_t id, uint8_t type, uint32_t group, struct span body)
{
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		struct peer *peer = &peers->table[i];
		if (!peer->used || peer->member.node_id != id)
			continue;
		struct connection *connection = peer->connection;
		if (peer->state != CALL_OPEN ||
			connection->queued.length + body.length + PEER_FRAME_HEADER_BYTES + PEER_RECORD_OVERHEAD_BYTES + PEER_STREAM_HEADER_BYTES > PEER_QUEUE_BYTES_MAX)
			return false;
		if (peer_channel_seal(&connection->channel, &connection->queued, type, group, body, &peers->room) != 0)
			return false;
		flush(connection);
		return true;
	}
	return false;
}

/* ---- being called: incoming connections ---- */

static void incoming_free(uv_handle_t *handle)
{
	struct incoming *incoming = handle->data;
	struct peers *peers = incoming->peers;
	for (struct incoming **link = &peers->incoming; *link; link = &(*link)->next)
		if (*link == incoming) {
			*link = incoming->next;
			break;
		}
	peers->incoming_count--;
	buffer_fini(&incoming->in);
	peer_channel_wipe(&incoming->channel);
	free(incoming);
}

static void drop(struct incoming *incoming)
{
	if (incoming->closing)
		return;
	incoming->closing = true;
	uv_close((uv_handle_t *)&incoming->tcp, incoming_free);
}

/* Another start of a node that is still talking: a copied data directory, most likely. */
static bool has_twin(const struct incoming *incoming, const struct peer_hello *hello)
{
	const struct peers *peers = incoming->peers;
	for (const struct incoming *other = peers->incoming; other; other = other->next)
		if (other != incoming && !other->closing && other->greeted && other->peer == hello->from && other->instance != hello->instance &&
			now_ms(peers) - other->heard_ms < PEER_TWIN_MS)
			return true;
	return false;
}

static enum peer_status judge(const struct incoming *incoming, const struct peer_hello *hello)
{
	const struct peers *peers = incoming->peers;
	if (hello->feature_level < peers->config.feature_level_min)
		return PEER_TOO_OLD;
	if (hello->to && hello->to != peers->config.node_id)
		return PEER_NOT_ME;
	const struct cluster_node *member = cluster_view_find(&peers->view, hello->from);
	if (member && member->role == NODE_REMOVED)
		return PEER_REMOVED;
	if (hello->from == peers->config.node_id || (member && memcmp(member->public_key, incoming->channel.remote_static, PEER_KEY_BYTES) != 0))
		return PEER_KEY_CHANGED;
	/* An id that is not known here may be a member that joined while this node was away: it has the cluster's secret. */
	return hello->purpose == PEER_MESSAGES && has_twin(incoming, hello) ? PEER_KEY_CHANGED : PEER_ACCEPTED;
}

/* From here on the socket belongs to a thread that may wait for it. */
static void hand_out(struct incoming *incoming, const struct peer_hello *hello)
{
	uv_os_fd_t fd;
	struct peer_stream *stream = must_alloc(sizeof(*stream));
	int own = uv_fileno((uv_handle_t *)&incoming->tcp, &fd) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (own < 0) {
		free(stream);
		return;
	}
	peer_stream_take(stream, own, hello->from, &incoming->channel);
	incoming->peers->config.calls.stream(incoming->peers->config.calls.context, stream, hello);
}

/* The node that the caller's key proves it to be; NULL: none that is known here. */
static const struct cluster_node *proven_node(const struct incoming *incoming, const struct peer_hello *hello)
{
	const struct cluster_node *node = cluster_view_find(&incoming->peers->view, hello->from);
	return node && memcmp(node->public_key, incoming->channel.remote_static, PEER_KEY_BYTES) == 0 ? node : NULL;
}

/* Whoever was removed is told so even if the cluster's secret has changed since. */
static bool was_removed(const struct incoming *incoming, const struct peer_hello *hello)
{
	const struct cluster_node *node = proven_node(incoming, hello);
	return node && node->role == NODE_REMOVED;
}

/* It asks again, as it did not hear the answer: its token was used up by the first time. */
static bool was_let_in(const struct incoming *incoming, const struct peer_hello *hello)
{
	const struct cluster_node *node = proven_node(incoming, hello);
	return node && node->role != NODE_REMOVED;
}

static bool answer_hello(struct incoming *incoming)
{
	struct peers *peers = incoming->peers;
	struct peer_hello hello;
	uint8_t proof[32], secret[PEER_SECRET_BYTES], welcome[PEER_WELCOME_BYTES];
	if (peer_channel_answer(&incoming->channel, peers->config.cluster_id, &peers->config.keys, incoming->in.data, &hello, proof) != 0)
		return false;
	enum peer_status status = PEER_ACCEPTED;
	if (hello.purpose == PEER_JOIN) {
		bool known = peers->config.calls.token_secret(peers->config.calls.context, hello.token_id, secret);
		if (known ? !peer_channel_proven(&incoming->channel, proof, secret) : !was_let_in(incoming, &hello))
			status = PEER_BAD_TOKEN;
		else if (hello.feature_level < peers->config.feature_level_min)
			status = PEER_TOO_OLD;
		sodium_memzero(secret, sizeof(secret));
	} else if ((hello.purpose != PEER_MESSAGES && hello.purpose != PEER_BULK) || !peers->view.has_secret) {
		return false;
	} else if (!peer_channel_proven(&incoming->channel, proof, peers->view.secret)) {
		if (!was_removed(incoming, &hello))
			return false;
		status = PEER_REMOVED;
	} else {
		status = judge(incoming, &hello);
	}
	if (peer_channel_welcome(&incoming->channel, status, peers->config.node_id, welcome) != 0)
		return false;
	uv_buf_t bytes = uv_buf_init((char *)welcome, sizeof(welcome));
	if (uv_try_write((uv_stream_t *)&incoming->tcp, &bytes, 1) != (int)sizeof(welcome) || status != PEER_ACCEPTED)
		return false;
	incoming->peer = hello.from;
	incoming->instance = hello.instance;
	incoming->feature_level = hello.feature_level;
	incoming->greeted = true;
	incoming->heard_ms = now_ms(peers);
	buffer_clear(&incoming->in);
	if (hello.purpose == PEER_MESSAGES)
		return true;
	hand_out(incoming, &hello);
	return false;
}

static struct peer *slot_of(struct peers *peers, uint64_t id);

/* Who has proven to be a member says where it is. */
static void take_address(struct incoming *incoming, struct span text)
{
	struct peers *peers = incoming->peers;
	char address[NODE_ADDRESS_BYTES_MAX] = "", host[HOST_BYTES_MAX], port[8];
	struct peer *peer = slot_of(peers, incoming->peer);
	if (!peer || text.length == 0 || text.length >= sizeof(address) || memchr(text.data, 0, text.length))
		return;
	memcpy(address, text.data, text.length);
	if (split_address(address, host, port) != 0)
		return;
	if (!peer->used) {
		*peer = (struct peer){ .peers = peers, .used = true, .guest = true };
		peer->member.node_id = incoming->peer;
		memcpy(peer->member.public_key, incoming->channel.remote_static, PEER_KEY_BYTES);
	}
	if (strcmp(address, peer->learned[0] ? peer->learned : peer->member.address) == 0)
		return;
	hang_up(peer, "it moved");
	snprintf(peer->learned, sizeof(peer->learned), "%s", strcmp(address, peer->member.address) == 0 ? "" : address);
	peer->retry_at_ms = peer->retry_ms = 0;
	call(peer);
}

/* A node has one connection to here at a time: what it opened before, it has given up, though word of that may never have come. */
static void drop_older(const struct incoming *incoming)
{
	for (struct incoming *other = incoming->next; other; other = other->next)
		if (other->greeted && other->peer == incoming->peer)
			drop(other);
}

/* Takes whole records out of what has arrived. */
static bool take_records(struct incoming *incoming)
{
	struct peers *peers = incoming->peers;
	struct buffer *in = &incoming->in;
	size_t at = 0;
	if (!incoming->channel.receiving) {
		if (in->length < PEER_STREAM_HEADER_BYTES)
			return true;
		if (peer_channel_begin(&incoming->channel, in->data) != 0)
			return false;
		at = PEER_STREAM_HEADER_BYTES;
	}
	while (in->length - at >= 4) {
		size_t length = peer_record_length(in->data + at);
		if (length == 0)
			return false;
		if (in->length - at - 4 < length)
			break;
		struct peer_frame frame;
		if (peer_channel_open(&incoming->channel, in->data + at + 4, length, &peers->plain, &frame) != 0)
			return false;
		at += 4 + length;
		incoming->heard_ms = now_ms(peers);
		if (!incoming->heard)
			drop_older(incoming); /* not before: whoever plays a recorded hello again gets no further than that */
		incoming->heard = true;
		if (frame.type == FRAME_ADDRESS)
			take_address(incoming, frame.body);
		else
			peers->config.calls.frame(peers->config.calls.context, incoming->peer, &frame);
		if (incoming->closing)
			return true;
	}
	memmove(in->data, in->data + at, in->length - at);
	in->length -= at;
	return true;
}

static void give_incoming_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)suggested;
	*out = uv_buf_init((char *)((struct incoming *)handle->data)->peers->read_buffer, READ_BYTES);
}

static void on_incoming_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes)
{
	struct incoming *incoming = stream->data;
	if (incoming->closing || length == 0)
		return;
	bool good = length > 0 && buffer_append(&incoming->in, bytes->base, (size_t)length) == 0;
	if (good && !incoming->greeted) {
		if (incoming->in.length < PEER_HELLO_BYTES)
			return;
		good = incoming->in.length == PEER_HELLO_BYTES && answer_hello(incoming);
		if (good)
			return;
	} else if (good) {
		good = take_records(incoming);
	}
	if (!good)
		drop(incoming);
}

static bool greeting_allowed(struct peers *peers, const char *address)
{
	uint64_t now = now_ms(peers);
	peers->greetings += (double)(now - peers->greetings_at_ms) * PEER_GREETINGS_PER_S / 1000;
	peers->greetings_at_ms = now;
	if (peers->greetings > PEER_GREETINGS_PER_S)
		peers->greetings = PEER_GREETINGS_PER_S;
	size_t waiting = 0, of_address = 0;
	for (const struct incoming *other = peers->incoming; other; other = other->next) {
		waiting += !other->greeted;
		of_address += !other->greeted && strcmp(other->address, address) == 0;
	}
	if (peers->greetings < 1 || waiting > PEER_GREETINGS_MAX || of_address > PEER_GREETINGS_PER_ADDRESS_MAX || peers->incoming_count > PEER_INCOMING_MAX)
		return false;
	peers->greetings -= 1;
	return true;
}

static void note_address(struct incoming *incoming)
{
	struct sockaddr_storage name;
	int length = sizeof(name);
	if (uv_tcp_getpeername(&incoming->tcp, (struct sockaddr *)&name, &length) == 0)
		uv_ip_name((struct sockaddr *)&name, incoming->address, sizeof(incoming->address));
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct peers *peers = listener->data;
	if (status < 0)
		return;
	struct incoming *incoming = must_alloc(sizeof(*incoming));
	incoming->peers = peers;
	incoming->since_ms = now_ms(peers);
	incoming->next = peers->incoming;
	peers->incoming = incoming;
	peers->incoming_count++;
	/* The largest record and what one read may bring behind it. */
	buffer_init(&incoming->in, PEER_FRAME_BYTES_MAX + READ_BYTES + 4096);
	uv_tcp_init(peers->loop, &incoming->tcp);
	incoming->tcp.data = incoming;
	if (uv_accept(listener, (uv_stream_t *)&incoming->tcp) != 0) {
		drop(incoming);
		return;
	}
	note_address(incoming);
	uv_tcp_nodelay(&incoming->tcp, 1);
	uv_tcp_keepalive(&incoming->tcp, 1, PEER_KEEPALIVE_S);
	if (!greeting_allowed(peers, incoming->address) || uv_read_start((uv_stream_t *)&incoming->tcp, give_incoming_buffer, on_incoming_read) != 0)
		drop(incoming);
}

/* ---- the table ---- */

static void on_tick(uv_timer_t *timer)
{
	struct peers *peers = timer->data;
	uint64_t now = now_ms(peers);
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		struct peer *peer = &peers->table[i];
		if (!peer->used)
			continue;
		if (peer->state == CALL_IDLE && now >= peer->retry_at_ms)
			call(peer);
		else if (peer->state != CALL_IDLE && peer->state != CALL_OPEN && now - peer->connection->since_ms > PEER_GREETING_MS)
			hang_up(peer, "it does not answer");
	}
	for (struct incoming *incoming = peers->incoming; incoming; incoming = incoming->next)
		if (!incoming->greeted && now - incoming->since_ms > PEER_GREETING_MS)
			drop(incoming);
}

static struct peer *slot_of(struct peers *peers, uint64_t id)
{
	struct peer *empty = NULL;
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		struct peer *peer = &peers->table[i];
		if (peer->used && peer->member.node_id == id)
			return peer;
		if (!peer->used && !empty)
			empty = peer;
	}
	return empty;
}

void peers_set_level(struct peers *peers, uint32_t feature_level)
{
	peers->config.feature_level_min = feature_level;
}

void peers_set_view(struct peers *peers, const struct cluster_view *view)
{
	peers->view = *view;
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		struct peer *peer = &peers->table[i];
		const struct cluster_node *member = peer->used ? cluster_view_find(view, peer->member.node_id) : NULL;
		if (!peer->used || (member && member->role != NODE_REMOVED) || (!member && peer->guest))
			continue;
		hang_up(peer, "removed");
		peer->used = false;
	}
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *member = &view->nodes[i];
		struct peer *peer = member->node_id == peers->config.node_id || member->role == NODE_REMOVED ? NULL : slot_of(peers, member->node_id);
		if (!peer)
			continue;
		const char *called = peer->learned[0] ? peer->learned : peer->member.address;
		bool moved = peer->used && ((strcmp(peer->member.address, member->address) != 0 && strcmp(called, member->address) != 0) ||
			memcmp(peer->member.public_key, member->public_key, PEER_KEY_BYTES) != 0);
		if (moved) {
			hang_up(peer, "it moved");
			peer->learned[0] = 0;
		}
		if (!peer->used)
			*peer = (struct peer){ .peers = peers, .used = true, .retry_at_ms = 0 };
		if (moved)
			peer->retry_at_ms = peer->retry_ms = 0;
		peer->member = *member;
		peer->guest = false;
		if (strcmp(peer->learned, member->address) == 0)
			peer->learned[0] = 0;
		if (peer->state == CALL_IDLE && now_ms(peers) >= peer->retry_at_ms)
			call(peer);
	}
	for (struct incoming *incoming = peers->incoming; incoming; incoming = incoming->next) {
		const struct cluster_node *member = incoming->greeted ? cluster_view_find(view, incoming->peer) : NULL;
		if (member && member->role == NODE_REMOVED)
			drop(incoming);
	}
}

/* A hello alone may be a recorded one: what was heard after it is not. The newest connection comes first. */
static uint32_t level_told(const struct peers *peers, uint64_t id)
{
	for (const struct incoming *incoming = peers->incoming; incoming; incoming = incoming->next)
		if (incoming->heard && !incoming->closing && incoming->peer == id)
			return incoming->feature_level;
	return 0;
}

void peers_state(const struct peers *peers, uint64_t id, struct peer_state *out)
{
	*out = (struct peer_state){ 0 };
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		const struct peer *peer = &peers->table[i];
		if (!peer->used || peer->member.node_id != id)
			continue;
		out->connected = peer->state == CALL_OPEN;
		out->feature_level = level_told(peers, id);
		snprintf(out->trouble, sizeof(out->trouble), "%s", peer->trouble);
	}
}

/* ---- opening ---- */

int peers_open(struct peers **out, uv_loop_t *loop, const struct peers_config *config, struct why *why)
{
	*out = NULL;
	struct sockaddr_storage address = { 0 };
	if (parse_listen(&address, config->listen) != 0)
		return why_set(why, ERR_INVALID, "\"%s\" is not a numeric HOST:PORT for the other nodes", config->listen);
	struct peers *peers = must_alloc(sizeof(*peers));
	peers->loop = loop;
	peers->config = *config;
	peers->greetings = PEER_GREETINGS_PER_S;
	randombytes_buf(&peers->instance, sizeof(peers->instance));
	buffer_init(&peers->plain, PEER_FRAME_BYTES_MAX + 4096);
	buffer_init(&peers->room, PEER_FRAME_BYTES_MAX + 4096);
	uv_tcp_init(loop, &peers->listener);
	peers->listener.data = peers;
	uv_timer_init(loop, &peers->tick);
	peers->tick.data = peers;
	uv_timer_start(&peers->tick, on_tick, PEER_TICK_MS, PEER_TICK_MS);
	int rv = uv_tcp_bind(&peers->listener, (struct sockaddr *)&address, 0);
	if (rv == 0)
		rv = uv_listen((uv_stream_t *)&peers->listener, BACKLOG, on_connection);
	int length = sizeof(address);
	if (rv == 0)
		rv = uv_tcp_getsockname(&peers->listener, (struct sockaddr *)&address, &length);
	*out = peers; /* its handles are the loop's already: the caller closes it in any case */
	if (rv < 0)
		return why_set(why, ERR_IO, "cannot listen on %s for the other nodes: %s", config->listen, uv_strerror(rv));
	peers->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

void peers_set_address(struct peers *peers, const char *address)
{
	snprintf(peers->address, sizeof(peers->address), "%s", address);
}

unsigned peers_port(const struct peers *peers)
{
	return peers->port;
}

void peers_close(struct peers *peers)
{
	if (!peers || peers->closing)
		return;
	peers->closing = true;
	uv_timer_stop(&peers->tick);
	uv_close((uv_handle_t *)&peers->tick, NULL);
	uv_close((uv_handle_t *)&peers->listener, NULL);
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++)
		hang_up(&peers->table[i], "this node stops");
	for (struct incoming *incoming = peers->incoming; incoming; incoming = incoming->next)
		drop(incoming);
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	buffer_fini(&peers->plain);
	buffer_fini(&peers->room);
	sodium_memzero(&peers->config, sizeof(peers->config));
	sodium_memzero(&peers->view, sizeof(peers->view));
	free(peers);
}
