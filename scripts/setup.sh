#!/usr/bin/env bash
# Make .venv from requirements.lock: the same bytes everywhere, checked by hash.
# Usage: scripts/setup.sh [PYTHON]; a second call with nothing changed does nothing (the Makefile's stamp).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-python3.11}
command -v "$python" >/dev/null || python=python3
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
  echo "error: no Python found: $python. Install Python 3.11, or say make setup PYTHON=/path/to/python3.11." >&2
  exit 1
}
case "$version" in
  3.11) ;;
  3.12 | 3.13) echo "note: the lock was made and tested on Python 3.11; this is $version" >&2 ;;
  *)
    echo "error: Python 3.11 to 3.13 is needed, $python is $version. Install Python 3.11, or say make setup PYTHON=/path/to/python3.11." >&2
    exit 1
    ;;
esac
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
  echo "setup: environment in .venv (Python $version)"
  rm -rf .venv
  "$python" -m venv .venv || {
    rm -rf .venv
    echo "error: $python cannot make environments. On Debian and Ubuntu: apt-get install python$version-venv" >&2
    exit 1
  }
fi
free_kb=$(df -Pk .venv | awk 'NR == 2 { print $4 }')
if [ "$free_kb" -lt 9000000 ] && [ ! -d .venv/lib/python"$version"/site-packages/torch ]; then
  echo "error: the environment takes 6.7 GB, this disk has $((free_kb / 1000000)) GB free: $PWD. Make room and run make setup again." >&2
  exit 1
fi
echo "setup: packages of requirements.lock (1 to 2 minutes and 6.7 GB from an empty cache)"
if [ "$version" = 3.11 ]; then
  # pip unpacks on one core: two of it, about half of the work each, and no package in both
  parts=$(mktemp -d)
  trap 'rm -rf "$parts"' EXIT
  awk -v one="$parts/one" -v two="$parts/two" \
    '/^[a-z0-9]/ { first = /^([a-c]|nvidia-|torch|triton==)/ } { print > (first ? one : two) }' requirements.lock
  install=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps)
  "${install[@]}" --require-hashes -r "$parts/one" &
  "${install[@]}" --require-hashes -r "$parts/two"
  wait $!
  "${install[@]}" --no-build-isolation -e .
else # the lock holds the hashes of 3.11's builds for some packages only
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
fi
.venv/bin/python -m pip check >/dev/null || { .venv/bin/python -m pip check >&2; exit 1; }
touch .venv/.ready
echo "setup: ready"
