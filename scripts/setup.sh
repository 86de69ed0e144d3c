#!/bin/sh
# Makes the environment that a make target needs, once: `setup.sh run|dev|bench`.
#
# run    .venv with what the shop needs to run       (make demo)
# dev    .venv with everything for tests and lint    (make test, lint, chaos, docs)
# bench  .venv-bench with the peers to race against  (make bench); apart, so that they can't change what the tests see
#
# For dev the servers that no package index has are fetched too, each by its own script in scripts/servers, into .servers.
# Without one its tests are skipped and say so; setup goes on.
#
# A stamp remembers what was installed (pyproject.toml, this path, the interpreter), so the next call returns at once
# and needs no network.
set -eu
cd "${0%/*}/.."

kind=${1:-dev}
case $kind in
  run) venv=.venv extras="[shop]" also="dev" ;;
  dev) venv=.venv extras="[dev]" also="" ;;
  bench) venv=.venv-bench extras="[bench]" also="" ;;
  *) echo "setup: unknown kind '$kind'; use run, dev or bench" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

suitable() {
  "$1" -c 'import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python3.14 /usr/bin/python3 python; do
    if suitable "$candidate"; then echo "$candidate"; return; fi
  done
  fail "no suitable Python: troth needs Python 3.11 or newer with the venv, ensurepip and sqlite3 modules.
       Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3.12"
}

wanted() {
  printf '%s %s %s\n' "$(pwd)" "$(cksum < pyproject.toml)" "$("$venv/bin/python" -V 2>&1)"
}

fresh() {
  [ -x "$venv/bin/python" ] || return 1
  [ "$kind" != dev ] || [ -d .servers ] || return 1
  for done in "$kind" $also; do
    if [ -f "$venv/.troth-$done" ] && [ "$(cat "$venv/.troth-$done")" = "$(wanted)" ]; then return 0; fi
  done
  return 1
}

if fresh; then exit 0; fi

if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
  python=$(find_python)
  say "making $venv with $("$python" -V 2>&1)"
  "$python" -m venv --clear "$venv" || fail "$python could not make a virtual environment in $(pwd)/$venv"
fi

say "installing troth$extras into $venv (once)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
log=$venv/.troth-install.log
if ! "$venv/bin/python" -m pip install --quiet --editable ".$extras" >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  fail "installing failed (the log's last lines are above; all of it: $log). The first run needs a package index; later ones don't."
fi
if [ "$kind" = dev ]; then
  mkdir -p .servers
  for script in scripts/servers/*.sh; do
    [ -f "$script" ] || continue
    server=$(basename "$script" .sh)
    sh "$script" ".servers/$server" || say "going on without $server: its tests will be skipped, or fail where all are required"
  done
fi
wanted > "$venv/.troth-$kind"
