"""The doctor's checks of the log's files: place, permissions, schema, integrity, space."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import basename

from troth.adapters.stores.sqlite.health import File, Vitals
from troth.cli.finding import Finding, fail, ok, warn
from troth.ports.errors import StoreCorrupt

MIB = 1024 * 1024
LITTLE_SPACE = 1024 * MIB
"""Bytes free below which the doctor warns."""
NO_SPACE = 64 * MIB
"""Bytes free below which writing soon fails."""
LONG_WAL = 256 * MIB
"""Bytes of write-ahead log above which something keeps it from being moved into the file."""


def check_files(vitals: Vitals) -> Iterator[Finding]:
    """All of them, one finding each."""
    yield sqlite_version(vitals)
    yield permissions(vitals)
    if vitals.trouble is not None:
        yield fail("integrity" if isinstance(vitals.trouble, StoreCorrupt) else "file", str(vitals.trouble), "")
        return
    yield schema_version(vitals)
    yield integrity(vitals)
    yield journal_mode(vitals)
    yield space(vitals)


def sqlite_version(vitals: Vitals) -> Finding:
    """Which SQLite this Python has."""
    name = f"SQLite {'.'.join(map(str, vitals.sqlite))}"
    if vitals.has_reset_bug:
        return ok(
            "sqlite",
            f"{name}. It has the WAL-reset bug (fixed in 3.51.3), harmless here: nodes make checkpoints one at a time. "
            "Let no other tool run checkpoints on the file while nodes run.",
        )
    return ok("sqlite", name)


def permissions(vitals: Vitals) -> Finding:
    """Can this user read and write the log and its side files?"""
    if unreadable := [file for file in vitals.files if not file.readable]:
        return fail("permissions", f"can't read {names(unreadable)}", "run as the user that runs the nodes")
    if locked := [file for file in vitals.files if not file.writable]:
        return warn(
            "permissions",
            f"can read, but not write {names(locked)}: list and show work, retry and resolve don't",
            "run as the user that runs the nodes, or give this one write permission on the file and its directory",
        )
    if len({file.owner for file in vitals.files}) > 1:
        owners = ", ".join(f"{basename(file.path)} of user {file.owner}" for file in vitals.files)
        return warn("permissions", f"the log's files belong to different users: {owners}", "run all nodes as one user")
    if any(file.mode & 0o002 for file in vitals.files):
        open_to_all = names([file for file in vitals.files if file.mode & 0o002])
        return warn("permissions", f"everybody may write {open_to_all}", "chmod o-w")
    return ok("permissions", f"{names(vitals.files)} can be read and written")


def names(files: tuple[File, ...] | list[File]) -> str:
    """The files by their last names."""
    return ", ".join(basename(file.path) + ("/" if file.is_dir else "") for file in files)


def schema_version(vitals: Vitals) -> Finding:
    """Is it a log, and one that this troth reads?"""
    found, known = vitals.version, vitals.known_version
    if found > known:
        return fail(
            "schema", f"version {found}, this troth knows up to {known}", "upgrade troth here; nothing was changed"
        )
    if found < known:
        text = (
            f"version {found}, this troth uses {known}" if found else "the file is empty: no node has started on it yet"
        )
        return fail("schema", text, "start a node on it once: it makes or migrates the schema")
    return ok("schema", f"version {found}")


def integrity(vitals: Vitals) -> Finding:
    """SQLite's own check of the file's structure."""
    if vitals.faults:
        return fail(
            "integrity",
            f"SQLite finds the file damaged: {'; '.join(vitals.faults[:3])}",
            "stop all nodes, keep a copy of all its files, then restore a backup or run sqlite3's .recover",
        )
    return ok("integrity", f"quick_check finds nothing wrong in {amount(vitals.files[0].size)}")


def journal_mode(vitals: Vitals) -> Finding:
    """Nodes need a write-ahead log."""
    if vitals.journal_mode != "wal":
        return fail(
            "journal",
            f"journal mode {vitals.journal_mode}, nodes use wal",
            "start a node on it (it sets the mode); if it can't, put the file on a local disk",
        )
    wal = sum(file.size for file in vitals.files if file.path.endswith("-wal"))
    if wal > LONG_WAL:
        return warn(
            "journal",
            f"the write-ahead log has grown to {amount(wal)}",
            "end programs that keep a read transaction open on the file: they keep it from being moved into the file",
        )
    return ok("journal", f"wal, {amount(wal)} not yet moved into the file")


def space(vitals: Vitals) -> Finding:
    """Room left on the log's disk."""
    if vitals.free < NO_SPACE:
        return fail("disk", f"only {amount(vitals.free)} free", "free some: nodes go on by themselves then")
    if vitals.free < LITTLE_SPACE:
        return warn("disk", f"only {amount(vitals.free)} free", "free some before it is used up")
    return ok("disk", f"{amount(vitals.free)} free")


def amount(count: int) -> str:
    """Bytes, short."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
