#!/bin/sh
# Writes the files beside it anew: what trezor-agent itself makes of the words "all all …" before
# the simulated device, which `tests/scripts/trezor_agent.script` compares with what is made here.
# Those that are there are of trezor_agent 0.13.0, libagent 0.16.2, trezor 0.20.2 and gpg 2.2.40.
#
#   python3 -m venv V && V/bin/pip install trezor_agent==0.13.0 libagent==0.16.2 trezor==0.20.2
#   PATH=$PWD/V/bin:$PATH tests/interop/trezor_agent/capture.sh target/debug/simulated-trezor
set -eu
place=$(mktemp -d)
here=$(dirname "$(realpath "$0")")
"$1" --words 'all all all all all all all all all all all all' >"$place/device" &
device=$!
trap 'kill $device; rm -rf "$place"' EXIT
until grep -q ^ready "$place/device"; do :; done
TREZOR_PATH=$(sed -n 's/^ready //p' "$place/device")
export TREZOR_PATH
for curve in nist256p1 ed25519; do
    for identity in user@host satoshi@bitcoin.org git@github.com alex@db:2222 ssh://host/path; do
        trezor-agent -e $curve $identity
    done
done >"$here/agent.pub"
echo 'written by trezor-gpg' >"$place/plain"
for curve in nist256p1 ed25519; do
    export GNUPGHOME="$place/$curve"
    trezor-gpg init 'Alex Doe <alex@example.org>' --homedir "$GNUPGHOME" --time 1700000000 -e $curve
    gpg --armor --export >"$here/$curve.asc"
    gpg --batch --yes --trust-model always --armor -r alex -o "$here/$curve.message" -e "$place/plain"
    # It knows of no KILLAGENT.
    kill "$(gpg-connect-agent 'GETINFO pid' /bye | sed -n 's/^D //p')" || true
done
