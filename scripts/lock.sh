#!/usr/bin/env bash
# Resolve pyproject.toml into requirements.lock: hashes for every package, no package host in the file.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pip-compile pyproject.toml --extra dev --output-file requirements.lock --quiet \
  --generate-hashes --allow-unsafe --strip-extras --no-header \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
echo "lock: $(grep -c '^[a-z]' requirements.lock) packages in requirements.lock"
