#!/usr/bin/env bash
# Installs what the tests need below target/, and runs all of them.
#
#   ./test.sh             everything
#   ./test.sh --prepare   only what the tests need; prints the variables to set
#
# Needs a Rust toolchain with rustfmt and clippy, a C compiler, and Python 3
# with venv. Uses cargo-nextest where it is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

requirements=services/e2e/peers/requirements.txt
peers="${CARGO_TARGET_DIR:-target}/peers"

section() { printf '\n=== %s\n' "$*"; }

fail() {
  printf 'test.sh: %s\n' "$*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null 2>&1 || fail "$1 is missing; $2"
}

# A finished environment keeps a copy of what it was made from.
prepare_peers() {
  if ! cmp -s "$requirements" "$peers/made-from.txt" || ! "$peers/bin/python" -c 'import zmq, grpc'; then
    rm -rf "$peers"
    python3 -m venv "$peers" || fail "no Python environment; install python3-venv"
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check \
      --requirement "$requirements" || fail "the Python packages could not be installed"
    cp "$requirements" "$peers/made-from.txt"
  fi
  KVATLAS_PYTHON="$(cd "$peers" && pwd)/bin/python"
  export KVATLAS_PYTHON
}

need cargo "install a Rust toolchain, https://rustup.rs"
need cc "install a C compiler (Debian: build-essential)"
need "${REDIS_SERVER:-redis-server}" "install it (Debian: redis-server), or name a Valkey in REDIS_SERVER"
need openssl "install it (Debian: openssl)"
need curl "install it (Debian: curl)"
need python3 "install Python 3 (Debian: python3 python3-venv)"
type -P kill >/dev/null || fail "the program kill is missing; install it (Debian: procps)"

section "Peers in Python"
prepare_peers
printf 'KVATLAS_PYTHON=%s\n' "$KVATLAS_PYTHON"
if [ "${1:-}" = --prepare ]; then
  exit 0
fi

section "Format"
cargo fmt --all --check

section "Lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

if cargo nextest --version >/dev/null 2>&1; then
  section "Tests (nextest)"
  cargo nextest run --workspace --locked --no-fail-fast
else
  section "Tests"
  cargo test --workspace --lib --bins --tests --locked --no-fail-fast
fi

section "Documentation tests"
cargo test --workspace --doc --locked

section "All passed"
