#!/bin/sh
# The cycle step by step, with the state of the jobs in between.
#   examples/by-hand.sh /etc/drawcli/drawcli.yaml
set -eu
export DRAWCLI_CONFIG="${1:-drawcli.yaml}"

for step in scan match deidentify upload; do
  echo "== $step"
  drawcli "$step"
done
drawcli status

# Segmentation takes some time; until then the jobs are 'uploaded'.
until [ -z "$(drawcli status --state uploaded --json | grep '"state": "uploaded"')" ]; do
  sleep 10
  drawcli poll
done
drawcli fetch
drawcli reidentify
drawcli status
