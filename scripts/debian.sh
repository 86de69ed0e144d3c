# Debian's (or Ubuntu's) packages without installing them: sourced by the scripts in scripts/servers, which set `name` and `dest`.
#
# No rights are needed: apt-get downloads with a private state, dpkg unpacks.
# shellcheck shell=sh disable=SC2154
say() { printf '%s: %s\n' "$name" "$*"; }
fail() { printf '%s: %s\n' "$name" "$*" >&2; exit 1; }

# begin OTHERWISE SIZE: make room beside $dest and read the package lists; OTHERWISE says what to do where there is no apt-get.
begin() {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "no apt-get and dpkg here: $1"
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
  say "fetching the server's packages (once; about $2, and the package lists)"
  apt-get --quiet update >"$log" 2>&1 || true # one source of many may be away; what counts is whether the packages are found
}

# unpack PACKAGE...: download the packages and unpack them into $part/root.
unpack() {
  (cd "$part/packages" && apt-get --quiet download "$@") >>"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "the packages could not be fetched (above is what apt-get said)"
  }
  for package in "$part"/packages/*.deb; do dpkg -x "$package" "$part/root"; done
}
