#!/bin/sh
# Starts the node of one pod. What it must never do is found a second hub beside one that exists, so it asks, in this order:
#
#   - this disk holds a node of a cluster: it goes on;
#   - there is no secret with the administrator's token, this is pod 0, and no other pod serves: the cluster is founded here.
#     The secret is made right after that (docs/operations.md, "On Kubernetes"), and from then on nobody founds anything;
#   - anything else, an empty disk of pod 0 too: the node joins, with a token that it asks the others for, and waits until it gets one.
#
# A token is good for one node and one day. It is kept until the node has joined: a pod that is killed before goes on with it, and asks for
# another when it is ten minutes old, as it may be too old or name nodes that are gone. Not more often: the cluster remembers 256 that nobody has used.
# The first $CAIRN_VOTERS pods vote, the others follow.
set -eu
umask 077
data=${CAIRN_HOME:-/var/lib/cairn}/data
join_token=$data/join-token
trap 'exit 0' TERM INT
export CAIRN_URL="${CAIRN_URL:-http://cairn}" CAIRN_TOKEN_FILE="${CAIRN_TOKEN_FILE:-/etc/cairn/admin-token}"
number=${POD_NAME##*-}

# Without --yes `recover` only looks. Once is enough: a node that has joined is one for good, until its data directory is wiped.
is_member() {
	reason=
	[ -d "$data/meta/raftlog" ] || return 1
	[ -e "$data/joined" ] && return 0
	reason=$(cairn --data "$data" cluster recover 2>&1 >/dev/null) || return 1
	: >"$data/joined"
}

another_pod_serves() {
	address=${CAIRN_URL#*://}
	address=${address%%/*}
	port=${address##*:}
	[ "$port" != "$address" ] || port=80
	timeout 5 bash -c "exec 3<>/dev/tcp/${address%%:*}/$port" 2>/dev/null
}

has_fresh_token() {
	[ -n "$(find "$join_token" -mmin "-${CAIRN_TOKEN_MINUTES:-10}" -size +0 2>/dev/null)" ]
}

ask_for_token() {
	role=
	[ "$number" -ge "${CAIRN_VOTERS:-3}" ] || role=--voter
	mkdir -p "$data"
	timeout 30 cairn cluster token $role >"$join_token.new" && mv "$join_token.new" "$join_token"
}

# `wait` lets a signal through at once.
pause() {
	sleep "${CAIRN_RETRY_SECONDS:-5}" &
	wait $!
}

# shellcheck disable=SC2086 # CAIRND_OPTIONS are several words
set -- --data "$data" --listen 0.0.0.0:8080 --cluster-listen 0.0.0.0:8090 --cluster-address "$POD_NAME.cairn-nodes:8090" ${CAIRND_OPTIONS:-}
# Clients inside the cluster reach every node: add --node-url "http://$POD_NAME.cairn-nodes:8080" if there are no others.

said=
until is_member; do
	if [ -s "$CAIRN_TOKEN_FILE" ]; then
		# An old one is worth a try when nobody answers: a node that has joined and does not know yet needs any.
		if has_fresh_token || ask_for_token || [ -s "$join_token" ]; then
			exec cairnd "$@" --join "@$join_token"
		fi
		why="the secret cairn-admin exists, so there is a cluster to join: waiting for one of its nodes to answer at $CAIRN_URL"
	elif [ "$number" != 0 ]; then
		why="waiting for the secret cairn-admin, with the administrator's token that pod 0 makes"
	elif another_pod_serves; then
		why="this disk is empty and another pod serves at $CAIRN_URL: waiting for the secret cairn-admin, to join it"
	else
		echo "start.sh: there is no secret cairn-admin and no other pod serves: founding the cluster here"
		exec cairnd "$@"
	fi
	[ "$why" = "$said" ] || echo "start.sh: $why${reason:+ ($reason)}" >&2
	said=$why
	pause
done
rm -f "$join_token"
exec cairnd "$@"
