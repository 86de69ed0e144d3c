"""A transaction's branches as a tree: place by place, each with its fate, arguments, result and reason."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from troth.cli import inks
from troth.cli.facts import Facts, is_open, open_of, real
from troth.cli.plain import clean, cut, many, value
from troth.core.draft import REMEMBER
from troth.core.state import Branch, Transaction

ENDING = {"compensate": "being undone", "cancel": "being cancelled", "confirm": "being confirmed"}
SHOWN = 60
"""Branches shown unless all are asked for; open ones are always shown."""


def tree_of(facts: Facts, width: int, *, full: bool) -> Tree:
    """The tree. A task of a ``gather`` is a twig of its own; what a try called hangs below it."""
    doc = facts.doc
    count, left = len(real(doc)), len(open_of(doc))
    open_text = f", {left} {'left open' if doc.closed else 'open'}" if left else ""
    title = many(count, "branch", "branches") + open_text if count else "no branch yet"
    tree = Tree(Text(title, "bold"), guide_style="dim")
    twigs: dict[str, Tree] = {"": tree, "0": tree}
    skipped = 0
    for number, branch in enumerate(doc.branches):
        if not full and number >= SHOWN and not is_open(doc, branch):
            skipped += 1
            continue
        place = branch.id.rpartition("/")[0]
        twigs[branch.id] = twig(twigs, place).add(line_of(doc, branch, width, full=full))
    if skipped:
        tree.add(Text(f"… {many(skipped, 'branch', 'branches')} more (--full)", "dim"))
    return tree


def twig(twigs: dict[str, Tree], place: str) -> Tree:
    """The tree's part for a place, made when its first branch comes."""
    found = twigs.get(place)
    if found is None:
        above, _, last = place.rpartition("/" if "#" in place else ".")
        found = twigs[place] = twig(twigs, above).add(Text(place_text(last), "dim"))
    return found


def place_text(last: str) -> str:
    """The last part of a place, in words: ``1_0`` is the first task of the first gather."""
    gather, _, task = last.partition("_")
    return f"gather {clean(gather)}, task {clean(task)}" if task else clean(last)


def line_of(doc: Transaction, branch: Branch, width: int, *, full: bool) -> Text:
    """One branch; below it why, if there is a why."""
    name = clean(branch.id.rpartition("/")[2])
    room = 0 if full else max(20, (width - 8 - len(name) - 14) // 2)
    text = Text(name, "bold")
    if branch.name == REMEMBER:
        return text.append("  remembered ", "dim").append(value(branch.result, room))
    text.append("  ").append_text(inks.fate(str(branch.fate)))
    text.append(f"  {value(branch.args, room)}")
    if branch.fate == "done" or bytes(branch.result) != b"null":
        text.append(" → ", "dim").append(value(branch.result, room))
    for note, style in notes_of(doc, branch):
        text.append("\n").append(note if full else cut(note, max(20, width - 8)), style)
    return text


def notes_of(doc: Transaction, branch: Branch) -> list[tuple[str, str]]:
    """What else is to say about a branch, each with its colour."""
    notes = []
    if branch.unknown:
        notes.append(("may or may not have happened", "yellow"))
    if doc.closed and is_open(doc, branch):
        notes.append((f"open when it was closed: {branch.op} had not succeeded", ""))
    elif branch.stuck:
        notes.append((f"needs a person: {branch.op} does not succeed", "bold red"))
    elif is_open(doc, branch) and branch.op in ENDING:
        notes.append((ENDING[branch.op], "yellow"))
    if branch.reason:
        notes.append((clean(branch.reason), ""))
    return notes
