#!/bin/sh
# gpg.sh KEEPER CURVE: makes the same OpenPGP key by a keeper, which is trezor-gpg's byte for byte,
# and opens what was encrypted to that one; or it fails.
set -eu
theirs=$TESTS/interop/trezor_agent
export GNUPGHOME="$PWD/$1-$2"
mkdir -m 0700 "$GNUPGHOME"
keystead gpg init --compat trezor --keeper "$1" --curve "$2" --time 1700000000 \
    'Alex Doe <alex@example.org>'
gpg --dearmor <"$theirs/$2.asc" >theirs
gpg --export >ours
cmp ours theirs
gpg --batch --decrypt "$theirs/$2.message"
gpgconf --kill gpg-agent
