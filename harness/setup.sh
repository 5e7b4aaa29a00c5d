#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Install what mmrace needs: setup.sh CHECKOUT [dev]. Debian packages by apt, Python in CHECKOUT/.venv.
set -euo pipefail

top=$1
kind=${2:-run}
lock=$top/requirements.lock
[ "$kind" = dev ] && lock=$top/requirements-dev.lock

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
	echo "installing Debian packages: $missing"
	apt-get -q update
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
fi

if [ -n "$wished" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing Debian packages for tests: $wished"
	[ -n "$missing" ] || apt-get -q update || true
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $wished ||
		echo "mmrace: not installed: $wished; their tests are skipped by name" >&2
fi

stamp=$top/.venv/.installed-$kind
if [[ ! -e $stamp || $lock -nt $stamp || $top/pyproject.toml -nt $stamp ]]; then
	echo "setting up $top/.venv"
	[ -x "$top/.venv/bin/python" ] || python3 -m venv "$top/.venv"
	"$top/.venv/bin/pip" --quiet --disable-pip-version-check install --require-hashes -r "$lock"
	"$top/.venv/bin/pip" --quiet --disable-pip-version-check install \
		--no-deps --no-build-isolation --editable "$top"
	touch "$stamp"
fi
