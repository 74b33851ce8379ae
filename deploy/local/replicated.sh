#!/usr/bin/env bash
# Everything on this machine, each role twice or more: three nodes of a store, two
# ingestors, two scorers. Ctrl-C ends them. Data and logs are kept in DIR.
#
#   deploy/local/replicated.sh [DIR]        default: ./kvatlas-local
#
# Engines connect to one ingestor (port 5557 or 5567), and come back by their
# replay if it is away; scorers answer on 50051 and 50052; nodes listen on 7400, 7410 and 7420, each with HTTP on the next port.
set -euo pipefail
kvatlas="${KVATLAS:-target/release/kvatlas}"
dir="${1:-./kvatlas-local}"

command -v "$kvatlas" >/dev/null || {
  echo "no $kvatlas; build it with: cargo build --release --bin kvatlas" >&2
  exit 1
}
mkdir -p "$dir"

run() {
  local name="$1"
  shift
  "$kvatlas" "$@" 2>"$dir/$name.log" &
  echo "$name: pid $!, log $dir/$name.log"
}
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait' EXIT INT TERM

peers='{1: "127.0.0.1:7400", 2: "127.0.0.1:7410", 3: "127.0.0.1:7420"}'
store=(--store 127.0.0.1:7400 --store 127.0.0.1:7410 --store 127.0.0.1:7420)
for id in 1 2 3; do
  port=$((7390 + 10 * id))
  run "store-$id" store --node-id "$id" --listen "127.0.0.1:$port" --http "127.0.0.1:$((port + 1))" \
    --data "$dir/store-$id" --set "store.peers=$peers" --set store.bootstrap=true
done
run ingestor-1 ingestor "${store[@]}" --bind 'tcp://*:5557' --http 127.0.0.1:7501
run ingestor-2 ingestor "${store[@]}" --bind 'tcp://*:5567' --http 127.0.0.1:7511
run scorer-1 scorer "${store[@]}" --grpc 127.0.0.1:50051 --http 127.0.0.1:8090
run scorer-2 scorer "${store[@]}" --grpc 127.0.0.1:50052 --http 127.0.0.1:8091

for port in 7401 7411 7421 7501 7511 8090 8091; do
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/readyz"; do sleep 0.2; done
done
"$kvatlas" store status --at 127.0.0.1:7400
echo "all are ready"
wait
