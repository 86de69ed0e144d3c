#!/bin/sh
# Fetches a RabbitMQ server, with the Erlang it runs on, for the tests into a directory of its own: `rabbitmq.sh DEST`.
#
# Nothing is installed and no rights are needed: Debian's (or Ubuntu's) packages are downloaded by apt-get with a private
# state and unpacked. What is there already is left alone.
set -eu
dest=${1:?usage: rabbitmq.sh DEST}
name=rabbitmq
. "$(dirname "$0")/../debian.sh"

if [ -x "$dest/usr/lib/erlang/bin/erl" ]; then exit 0; fi
begin "go without RabbitMQ's tests" "34 MB"
wanted="rabbitmq-server"
for part_of_erlang in base asn1 crypto eldap ftp inets mnesia os-mon parsetools public-key runtime-tools snmp ssl syntax-tools \
  tftp tools xmerl; do
  wanted="$wanted erlang-$part_of_erlang"
done
# shellcheck disable=SC2086
unpack $wanted
rm -rf "$part/root/usr/share"

# The launchers name the place where Debian installs Erlang; let them take it from the environment.
# shellcheck disable=SC2016
grep -rlI 'ROOTDIR=/usr/lib/erlang' "$part/root/usr/lib/erlang" | while read -r launcher; do
  sed -i 's#ROOTDIR=/usr/lib/erlang$#ROOTDIR=$ERL_ROOTDIR#' "$launcher"
done
missing=$(ldd "$part"/root/usr/lib/erlang/erts-*/bin/beam.smp "$part"/root/usr/lib/erlang/lib/crypto-*/priv/lib/crypto.so |
  grep 'not found' || true)
[ -z "$missing" ] || fail "the server needs libraries that this system lacks: $missing"
rm -rf "$dest"
mv "$part/root" "$dest"
say "ready in $dest"
