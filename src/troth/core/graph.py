"""The declared saga: a graph of steps, run in dependency order, side by side where it allows.

Roles as in Richardson, *Microservices Patterns*, chapter 4: compensable steps before, one pivot at, retriable steps after the
point of no return. Without a pivot, the decision is that all compensable steps are done.
"""

from __future__ import annotations

from troth.core.draft import Draft
from troth.core.driving import ask, finish, forces_intent, start, uses_bare_result
from troth.core.pivot import ask_pivot
from troth.core.quick import Fate, Role, State
from troth.core.reply import NULL
from troth.core.unwind import cancel


def startable(draft: Draft, index: int) -> bool:
    """May the step be called for the first time now?"""
    branches, node = draft.branches, draft.plan.steps[index]
    for earlier in node.after:
        if branches[earlier].fate is not Fate.DONE:
            return False
    doc = draft.doc
    if branches[index].fate is not Fate.IDLE or doc.doom or doc.resolving:
        return False
    if doc.phase is State.TRYING:
        return node.spec.role is not Role.RETRIABLE
    return doc.phase is State.CONFIRMING


def start_graph(draft: Draft) -> None:
    """Call every step that waits for nothing."""
    for index in range(len(draft.branches)):
        if startable(draft, index):
            start(draft, index)


def moved_on_graph(draft: Draft, index: int) -> None:
    """A branch is settled: go on, or cancel."""
    branch = draft.branches[index]
    if branch.fate is not Fate.DONE:
        cancel(draft, draft.doc.doom or f"{branch.name}: {branch.reason}", draft.doc.step or branch.id)
        return
    if index == draft.plan.pivot:
        draft.set(state=State.CONFIRMING, phase=State.CONFIRMING, doom="", reason="", step="")
        start_graph(draft)
    else:
        later_steps = draft.plan.steps[index].before
        for later in later_steps:
            if startable(draft, later):
                start(draft, later)
        if draft.plan.retriables:
            decide_to_confirm(draft)
        elif later_steps:  # they are not done yet, so neither is the whole
            return
    conclude(draft)


def decide_to_confirm(draft: Draft) -> None:
    """Without a pivot: once all compensable steps are done, that is the decision, forced before a retriable is called."""
    plan = draft.plan
    if not plan.retriables or plan.pivot >= 0 or draft.doc.phase is not State.TRYING:
        return
    for node, branch in zip(plan.steps, draft.branches, strict=True):
        if node.spec.role is Role.COMPENSABLE and branch.fate is not Fate.DONE:
            return
    draft.set(state=State.CONFIRMING, phase=State.CONFIRMING)
    draft.force()
    start_graph(draft)


def conclude(draft: Draft) -> None:
    """Write the outcome when every branch is done."""
    for branch in draft.branches:
        if branch.fate is not Fate.DONE:
            return
    plan = draft.plan
    results = [b.result for b in draft.branches]
    finish(draft, State.CONFIRMED, result=plan.returns(draft.doc.input, results) if plan.returns else NULL)


def resume_graph(draft: Draft) -> None:
    """Make every call that is owed and not under way."""
    for index, branch in enumerate(draft.branches):
        if branch.fate is Fate.CALLING and not (branch.calling or branch.due or branch.stuck):
            if index == draft.plan.pivot:
                ask_pivot(draft, index)
            else:
                ask(draft, index)
    start_graph(draft)
    decide_to_confirm(draft)
    conclude(draft)


def mark_reached(draft: Draft) -> None:
    """After a crash: every step that could have been called without a forced write in between may have run.

    Its call and the results before it only rode with other writes, so their absence says nothing (A1).
    """
    for index, node in enumerate(draft.plan.steps):
        if draft.branches[index].fate is not Fate.IDLE or forces_intent(node.spec) or uses_bare_result(draft.plan, index):
            continue
        if node.spec.role is Role.RETRIABLE and draft.doc.phase is State.TRYING and draft.plan.pivot < 0:
            continue
        if all(may_be_done(draft, earlier) for earlier in node.after):
            draft.put(index, unknown=True)


def may_be_done(draft: Draft, index: int) -> bool:
    """Could the step have been done before the crash?"""
    branch = draft.branches[index]
    return branch.fate in (Fate.DONE, Fate.CALLING) or branch.unknown
