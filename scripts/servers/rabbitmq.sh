#!/bin/sh
# Fetches a RabbitMQ server, with the Erlang it runs on, for the tests into a directory of its own: `rabbitmq.sh DEST`.
#
# Nothing is installed and no rights are needed: Debian's (or Ubuntu's) packages are downloaded by apt-get with a private
# state and unpacked. What is there already is left alone.
set -eu
dest=${1:?usage: rabbitmq.sh DEST}
say() { printf 'rabbitmq: %s\n' "$*"; }
fail() { printf 'rabbitmq: %s\n' "$*" >&2; exit 1; }

if [ -x "$dest/usr/lib/erlang/bin/erl" ]; then exit 0; fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
  fail "no apt-get and dpkg here: go without RabbitMQ's tests"

case $dest in /*) ;; *) dest=$(pwd)/$dest ;; esac
part=$dest.part
rm -rf "$part"
mkdir -p "$part/apt/lists/partial" "$part/apt/archives/partial" "$part/packages" "$part/root"
: > "$part/apt/status"
trap 'rm -rf "$part"' EXIT
cat > "$part/apt/apt.conf" <<CONF
Dir::State "$part/apt";
Dir::State::lists "$part/apt/lists";
Dir::State::status "$part/apt/status";
Dir::Cache::archives "$part/apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Debug::NoLocking "1";
CONF
export APT_CONFIG="$part/apt/apt.conf"
log=$part/apt/log

say "fetching the server's packages (once; about 34 MB, and the package lists)"
apt-get --quiet update >"$log" 2>&1 || true # one source of many may be away; what counts is whether the packages are found
wanted="rabbitmq-server"
for part_of_erlang in base asn1 crypto eldap ftp inets mnesia os-mon parsetools public-key runtime-tools snmp ssl syntax-tools \
  tftp tools xmerl; do
  wanted="$wanted erlang-$part_of_erlang"
done
# shellcheck disable=SC2086
(cd "$part/packages" && apt-get --quiet download $wanted) >>"$log" 2>&1 || {
  tail -n 5 "$log" >&2
  fail "the packages could not be fetched (above is what apt-get said)"
}
for package in "$part"/packages/*.deb; do dpkg -x "$package" "$part/root"; done
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
