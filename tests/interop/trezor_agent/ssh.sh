#!/bin/sh
# ssh.sh KEEPER: prints the same keys by a keeper; they are trezor-agent's, or it fails.
set -eu
pub=$TESTS/interop/trezor_agent/agent.pub
tr -d '<>' <"$pub" | tr '|' ' ' | while read -r _ _ identity curve; do
    keystead ssh key --keeper "$1" --curve "$curve" "$identity"
done >"$1.pub"
cmp "$1.pub" "$pub"
