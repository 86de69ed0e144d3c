#!/bin/sh
# Fetches a MariaDB server for the tests into a directory of its own: `mariadb.sh DEST`.
#
# Nothing is installed and no rights are needed: Debian's (or Ubuntu's) packages are downloaded by apt-get with a private
# state and unpacked. An installed server is used as it is. What is there already is left alone.
set -eu
dest=${1:?usage: mariadb.sh DEST}
say() { printf 'mariadb: %s\n' "$*"; }
fail() { printf 'mariadb: %s\n' "$*" >&2; exit 1; }

if [ -x "$dest/usr/sbin/mariadbd" ]; then exit 0; fi
for installed in /usr/sbin/mariadbd /usr/local/sbin/mariadbd /usr/libexec/mariadbd; do
  if [ -x "$installed" ]; then exit 0; fi
done
command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
  fail "no apt-get and dpkg here: install MariaDB's server by hand (mariadbd in /usr/sbin), or go without its tests"

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

say "fetching the server's packages (once; about 12 MB, and the package lists)"
apt-get --quiet update >"$log" 2>&1 || true # one source of many may be away; what counts is whether the packages are found
wanted="mariadb-server-core mariadb-client-core mariadb-common mysql-common"
for library in libaio1 libaio1t64 liburing2 libnuma1 libpmem1 libsnappy1v5; do
  if apt-cache show "$library" >/dev/null 2>&1; then wanted="$wanted $library"; fi
done
# shellcheck disable=SC2086
(cd "$part/packages" && apt-get --quiet download $wanted) >>"$log" 2>&1 || {
  tail -n 5 "$log" >&2
  fail "the packages could not be fetched (above is what apt-get said)"
}
for package in "$part"/packages/*.deb; do dpkg -x "$package" "$part/root"; done
rm -rf "$part/root/usr/share/doc" "$part/root/usr/share/man"
rm -rf "$dest"
mv "$part/root" "$dest"

libraries=$(LD_LIBRARY_PATH=$(echo "$dest"/usr/lib/*-linux-gnu*):$(echo "$dest"/lib/*-linux-gnu*) ldd "$dest/usr/sbin/mariadbd")
missing=$(printf '%s\n' "$libraries" | grep 'not found' || true)
if [ -n "$missing" ]; then
  rm -rf "$dest"
  fail "the server needs libraries that this system lacks: $missing"
fi
say "ready in $dest"
