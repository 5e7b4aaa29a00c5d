#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Install what mmrace needs: setup.sh CHECKOUT [dev]. Debian packages by apt, Python in CHECKOUT/.venv.
set -euo pipefail

top=$1
kind=${2:-run}
lock=$top/requirements.lock
[ "$kind" = dev ] && lock=$top/requirements-dev.lock

ticker=
log=$(mktemp)
trap '[ -z "$ticker" ] || kill "$ticker" 2>/dev/null; rm -f "$log"' EXIT

# step TITLE COMMAND...: say what is done and for how long; what it prints is shown if it fails.
step() {
	local title=$1 started=$SECONDS code=0
	shift
	if [ -t 1 ]; then
		while printf '\r%s ... (%d s)' "$title" $((SECONDS - started)); do sleep 1; done &
		ticker=$!
	else
		printf '%s ...\n' "$title"
	fi
	"$@" </dev/null >"$log" 2>&1 || code=$?
	if [ -n "$ticker" ]; then
		kill "$ticker"
		wait "$ticker" 2>/dev/null || true
		ticker=
		printf '\r\033[K'
	fi
	if [ "$code" != 0 ]; then
		cat "$log" >&2
		printf '%s: failed (%d s)\n' "$title" $((SECONDS - started)) >&2
		return "$code"
	fi
	printf '%s: done (%d s)\n' "$title" $((SECONDS - started))
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

# Once more after a failure: an index that is being updated may show old versions for a while.
packages() {
	"${pip[@]}" --require-hashes -r "$lock" ||
		{ sleep 2 && "${pip[@]}" --no-cache-dir --require-hashes -r "$lock"; }
}

missing_of() {
	awk '!/^#/ && NF { print $1, $2 }' "$1" |
		while read -r package file; do [ -e "$file" ] || printf '%s ' "$package"; done
}

missing=$(missing_of "$top/harness/packages.txt")
wished=
[ "$kind" = dev ] && wished=$(missing_of "$top/harness/packages-dev.txt")

if [ -n "$missing" ]; then
	# shellcheck disable=SC1091
	distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}")
	case " $distribution " in
	*" debian "*) ;;
	*)
		echo "mmrace: this is not Debian; install what these Debian packages hold, then again: $missing" >&2
		exit 2
		;;
	esac
	if [ "$(id -u)" != 0 ]; then
		echo "mmrace: not root; as root run: apt-get install --no-install-recommends $missing" >&2
		exit 2
	fi
	echo "missing Debian packages: $missing"
	step "reading Debian's package lists" apt update
	# shellcheck disable=SC2086 # one word a package
	step "installing Debian packages" apt install -y --no-install-recommends $missing
fi

if [ -n "$wished" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "missing Debian packages for tests: $wished"
	[ -n "$missing" ] || step "reading Debian's package lists" apt update || true
	# shellcheck disable=SC2086 # one word a package
	step "installing Debian packages for tests" apt install -y --no-install-recommends $wished ||
		echo "mmrace: not installed: $wished; their tests are skipped by name" >&2
fi

stamp=$top/.venv/.installed-$kind
if [[ ! -e $stamp || $lock -nt $stamp || $top/pyproject.toml -nt $stamp ]]; then
	pip=("$top/.venv/bin/pip" --disable-pip-version-check install)
	[ -x "$top/.venv/bin/python" ] || step "making $top/.venv" python3 -m venv "$top/.venv"
	step "installing $(grep -c == "$lock") Python packages" packages
	step "installing mmrace" "${pip[@]}" --no-deps --no-build-isolation --editable "$top"
	touch "$stamp"
fi
