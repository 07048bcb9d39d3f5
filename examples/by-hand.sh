#!/bin/sh
# The cycle step by step, with a look at the ledger in between.
#   examples/by-hand.sh /etc/drawcli/drawcli.yaml
set -eu
export DRAWCLI_CONFIG="${1:-drawcli.yaml}"

for step in scan match deidentify upload; do
  echo "== $step"
  drawcli "$step"
done
drawcli status

# The server needs a while. 'waiting' means: not yet; the next try is in the last column.
until [ -z "$(drawcli status --state uploaded --json | grep '"state": "uploaded"')" ]; do
  sleep 10
  drawcli poll
done
drawcli fetch
drawcli reidentify
drawcli status
