#!/bin/sh
# Fetches a MariaDB server for the tests into a directory of its own: `mariadb.sh DEST`.
#
# Nothing is installed and no rights are needed: Debian's (or Ubuntu's) packages are downloaded by apt-get with a private
# state and unpacked. An installed server is used as it is. What is there already is left alone.
set -eu
dest=${1:?usage: mariadb.sh DEST}
name=mariadb
. "$(dirname "$0")/../debian.sh"

if [ -x "$dest/usr/sbin/mariadbd" ]; then exit 0; fi
for installed in /usr/sbin/mariadbd /usr/local/sbin/mariadbd /usr/libexec/mariadbd; do
  if [ -x "$installed" ]; then exit 0; fi
done
begin "install MariaDB's server by hand (mariadbd in /usr/sbin), or go without its tests" "12 MB"
wanted="mariadb-server-core mariadb-client-core mariadb-common mysql-common"
for library in libaio1 libaio1t64 liburing2 libnuma1 libpmem1 libsnappy1v5; do
  if apt-cache show "$library" >/dev/null 2>&1; then wanted="$wanted $library"; fi
done
# shellcheck disable=SC2086
unpack $wanted
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
