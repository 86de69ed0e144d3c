"""What comes next for a transaction, by itself or by a person's hand."""

from __future__ import annotations

from collections.abc import Iterator

from troth.cli.facts import Facts, open_of
from troth.cli.plain import clean, cut, span, value
from troth.core.state import Branch, Transaction
from troth.core.words import State


def next_of(facts: Facts, now: int) -> list[str]:
    """What will happen by itself, soonest first; empty when it is finished."""
    if facts.finished:
        return []
    if facts.record.waiting and not facts.owned:
        return [
            (
                f"{facts.waits_for}. Nothing is decided and no attempt is used up meanwhile. A node that has this code "
                'goes on with it: bring the code back, or bridge a rename with aliases=("old_name",).'
            )
        ]
    if not facts.owned:
        return [
            "a living node takes it over in a moment." if facts.nodes.alive
            else "no node is alive: the next program that starts on this log takes it over."
        ]  # fmt: skip
    idle = "nothing: it waits for a person." if facts.doc.state is State.FAILED else "its own code is running."
    return list(_moves(facts.doc, now)) or [idle]


def _moves(doc: Transaction, now: int) -> Iterator[str]:
    if doc.resolving:
        yield "it is being closed by hand: retries are stopped, calls in flight are waited out."
    for branch in doc.branches:
        if branch.calling:
            yield f"{clean(branch.id)}: {branch.op} in flight since {span(max(0, now - branch.since))}."
    for branch in sorted(doc.branches, key=lambda branch: branch.due):
        if branch.due:
            yield f"{clean(branch.id)}: {branch.op} again {soon(branch.due, now)}."
    if doc.due:
        yield f"its function is run again {soon(doc.due, now)}."
    if doc.state is State.TRYING and not (doc.doom or doc.stuck or doc.resolving):
        yield f"still undecided, it is cancelled {soon(doc.deadline, now)} (its deadline)."


def soon(due: int, now: int) -> str:
    """When, from now."""
    return f"in {span(due - now)}" if due > now else "now"


def by_hand(facts: Facts) -> list[str]:
    """What a person can do about a failed transaction; empty for any other."""
    doc, gid = facts.doc, clean(facts.record.gid)
    if doc.state is not State.FAILED or facts.finished or doc.resolving:
        return []
    lines = [f"Cure the cause, then `troth retry {gid}`: it goes back to {doc.phase} and attempts are counted anew."]
    if any(branch.due for branch in doc.branches) or doc.due:
        lines[0] += " Slow retries go on by themselves, too."
    lines.append(f'Or settle by hand what is open, then close it with `troth resolve {gid} --reason "…"`:')
    lines += [f"  - {what_to_settle(doc, branch)}" for branch in open_of(doc)] or ["  - nothing: no branch is open"]
    return lines


def what_to_settle(doc: Transaction, branch: Branch) -> str:
    """What a person would have to see to, for one branch."""
    named = f"{clean(branch.id)} {value(branch.args, 60)}"
    why = f" ({cut(clean(branch.reason), 80)})" if branch.reason else ""
    if doc.pattern == "tcc" and doc.phase is not State.TRYING:
        ended = "cancelled" if doc.phase is State.CANCELLING else "confirmed"
        return f"see that {named} is {ended}{why}"
    if doc.phase is State.CANCELLING or branch.op == "compensate":
        return f"see that {named} is undone{why}"
    if doc.phase is State.CONFIRMING:
        return f"see that {named} has happened{why}"
    return f"find out whether {named} has happened, and make the whole fit{why}"
