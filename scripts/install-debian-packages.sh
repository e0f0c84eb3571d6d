#!/usr/bin/env bash
# Install the Debian packages that some tests want. segnets itself needs none of them.
# Usage: sudo scripts/install-debian-packages.sh
set -euo pipefail

packages=(chromium postgresql)
cat >&2 <<'TEXT'
This installs from your Debian or Ubuntu mirror:
  chromium     the browser that the app's tests drive (make test, mark "browser")
  postgresql   the database that the test of the team's setting starts in a folder of its own (make test-slow)
Without them those tests are skipped and say so.
TEXT
if ! command -v apt-get >/dev/null; then
  echo "error: there is no apt-get here: install ${packages[*]} the way this system does." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "error: installing packages needs root: sudo $0" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  echo "all are there: ${packages[*]}" >&2
  exit 0
fi
apt-get update -q
# no start of a system-wide database: the tests bring up their own
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
echo "installed: ${missing[*]}" >&2
