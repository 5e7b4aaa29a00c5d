#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A cluster by ssh: hosts.sh HEAD WORKER... ; until Ctrl-C. Each host has mmrace[cluster] on its PATH
# and, in ~/mmrace-tls, ca.pem and its own cert.pem and key.pem.
set -eu
head=$1
port=${PORT:-8786}
shift
pids=
trap 'kill $pids' EXIT
trap 'exit 130' INT TERM
on() {
	host=$1
	shift
	# -tt: what runs there ends with the connection.
	ssh -tt "$host" "cd mmrace-tls && exec $*" </dev/null &
	pids="$pids $!"
}
on "$head" dask scheduler --protocol tls --port "$port" \
	--tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem
for host in "$@"; do
	on "$host" mmrace worker "tls://$head:$port" \
		--tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem
done
wait
