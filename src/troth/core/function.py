"""The function saga: a function calls steps; each call is recorded before it is made, and a later run is matched with the record.

Determinism is an optimisation, never a contract: where a run no longer makes a recorded call, we are a saga and compensate
what is recorded; past the pivot a person is asked.
"""

from __future__ import annotations

from msgspec import Raw, structs

from troth.core import limits
from troth.core.draft import REMEMBER, Draft, spec_of
from troth.core.driving import all_settled, ask, finish, send, settled, unstick
from troth.core.move import (
    Abandoned,
    Alert,
    Answer,
    Called,
    Raised,
    Recalled,
    Remembered,
    Rerun,
    Resume,
    Returned,
    Start,
)
from troth.core.pivot import ask_for_held, ask_pivot, doom, in_doubt, left_out, too_early
from troth.core.quick import Fate, Op, Role, State
from troth.core.retry import budget_micros, micros, pause
from troth.core.state import NO_RUN, Branch, Run
from troth.core.unwind import cancel, stop_run, undo_given_up


def begin_run(draft: Draft) -> None:
    """Run the function from its beginning, unless it is running; its calls will be matched with what is recorded."""
    if draft.run.live:
        return
    recorded: dict[str, tuple[int, ...]] = {}
    for index, branch in enumerate(draft.branches):
        place = branch.id.rpartition("/")[0]
        recorded[place] = (*recorded.get(place, ()), index)
    draft.run = Run(recorded=recorded, live=True)
    draft.set(due=0)
    draft.emit(Start())


def called(draft: Draft, event: Called) -> None:
    """The function calls a step: match it with the record, or record it and call."""
    if not accepts_calls(draft):
        return
    expected = next_recorded(draft, event.place)
    if expected < 0:
        record(draft, event)
        return
    branch = draft.branches[expected]
    if not matches(draft, branch, event.name, event.args):
        mismatch(draft, f"step {expected + 1} was {branch.name}{args_text(branch.args)}, the code now calls "
                 f"{event.name}{args_text(event.args)}")
        return
    advance(draft, event.place, branch.name)
    draft.called = expected
    answer_or_ask(draft, expected)


def accepts_calls(draft: Draft) -> bool:
    """May the function still make calls? Not once it is cancelled, nor in a run that is over (P10)."""
    return draft.run.live and draft.doc.phase is not State.CANCELLING and not draft.doc.finished


def next_recorded(draft: Draft, place: str) -> int:
    """The index of the recorded call that this task makes next, or -1 when it has made them all."""
    recorded = draft.run.recorded.get(place, ())
    cursor = draft.run.cursors.get(place, 0)
    return recorded[cursor] if cursor < len(recorded) else -1


def matches(draft: Draft, branch: Branch, name: str, args: Raw) -> bool:
    """Is this the recorded call, under its name or an alias, with equal arguments?"""
    plan = draft.plan
    if spec_of(plan.lookup, branch.name).name != name:
        return False
    return bytes(branch.args) == bytes(args) or (plan.same is not None and plan.same(name, branch.args, args))


def advance(draft: Draft, place: str, name: str) -> None:
    """One recorded call of this task was made again."""
    run = draft.run
    count = run.counts.get((place, name), 0) + 1
    draft.run = structs.replace(
        run,
        cursors={**run.cursors, place: run.cursors.get(place, 0) + 1},
        counts={**run.counts, (place, name): count},
    )


def record(draft: Draft, event: Called) -> None:
    """A call that no run made before: note the intent; it is forced when the call goes out."""
    spec = spec_of(draft.plan.lookup, event.name)
    if spec.role is Role.PIVOT and draft.pivot() >= 0:
        draft.problem = f"{event.name} is a second pivot: a saga has one point of no return. Give it role='retriable'"
        return
    draft.problem = too_early(draft, spec)
    if draft.problem:
        return
    left = left_out(draft, event.place) if spec.role is Role.PIVOT else -1
    if left >= 0:
        was = draft.branches[left]
        text = f"step {left + 1} was {was.name}{args_text(was.args)}, the code now calls its pivot {event.name} without it"
        mismatch(draft, text)
        return
    append(draft, event.place, Branch(branch_id(draft, event.place, event.name), event.name, Fate.HELD, event.args))
    if draft.doc.phase is State.TRYING:
        until = draft.at + budget_micros(spec.timeout, spec.attempts, spec.interval)
        draft.set(deadline=max(draft.doc.deadline, until))
    release_held(draft)


def append(draft: Draft, place: str, branch: Branch) -> None:
    """Add a branch at the end of the record."""
    draft.called = len(draft.branches)
    draft.branches.append(branch)
    counts = draft.run.counts
    key = (place, branch.name)
    draft.run = structs.replace(draft.run, counts={**counts, key: counts.get(key, 0) + 1})


def branch_id(draft: Draft, place: str, name: str) -> str:
    """``place/name#occurrence``: counted within the task, so that timing never changes it (P16)."""
    return f"{place}/{name}#{draft.run.counts.get((place, name), 0) + 1}"


def release_held(draft: Draft) -> None:
    """Send the calls that wait, in call order. A pivot goes alone: after all before it are settled, and nothing beside it."""
    held = [index for index, branch in enumerate(draft.branches) if branch.fate is Fate.HELD]
    if not held or draft.doc.resolving:
        return
    pivot = in_doubt(draft)
    if pivot >= 0:
        ask_for_held(draft, pivot)
        return
    for index in held:
        if draft.spec(index).role is Role.PIVOT:
            if all_settled_before(draft, index):
                force_intent(draft)
                send(draft, index, Op.ACTION)
            return
        force_intent(draft)
        send(draft, index, Op.ACTION)


def force_intent(draft: Draft) -> None:
    """A function's call is recorded before it is made."""
    draft.force()


def all_settled_before(draft: Draft, pivot: int) -> bool:
    """Is every other call that was made settled?"""
    return all(
        b.fate is Fate.HELD or settled(draft, i) for i, b in enumerate(draft.branches) if i != pivot
    )


def answer_or_ask(draft: Draft, index: int) -> None:
    """A recorded call is made again: give what is known, else ask behind the barrier."""
    branch = draft.branches[index]
    if branch.fate is Fate.HELD:
        release_held(draft)
    elif branch.fate is not Fate.CALLING:
        draft.emit(Answer(index))
    elif not branch.calling and not branch.due and not branch.stuck:
        if draft.spec(index).role is Role.PIVOT:
            ask_pivot(draft, index)
        else:
            ask(draft, index)


def moved_on_function(draft: Draft, index: int) -> None:
    """A call is settled: tell the function, let waiting calls go, write the outcome if all is in."""
    branch = draft.branches[index]
    if draft.spec(index).role is Role.PIVOT:
        if branch.fate is Fate.DONE:
            draft.set(state=State.CONFIRMING, phase=State.CONFIRMING, doom="", reason="", step="")
            unstick(draft)
            if not draft.doc.returned:
                begin_run(draft)
        elif draft.doc.doom:
            cancel(draft, draft.doc.doom, draft.doc.step)
            return
    if draft.run.live:
        draft.emit(Answer(index))
    elif wants_run(draft):
        begin_run(draft)
    go_on(draft)


def wants_run(draft: Draft) -> bool:
    """Was the run dropped while it waited, and is there something to go on with?"""
    doc = draft.doc
    return not (doc.returned or doc.doom or doc.stuck or doc.resolving or doc.due)


def go_on(draft: Draft) -> None:
    """Whatever may happen next, now that something is settled."""
    undo_given_up(draft)
    release_held(draft)
    conclude_function(draft)


def give_up(draft: Draft, index: int) -> None:
    """Attempts are used up and nobody knows whether it ran: note that, forced, before its undo is sent or the function told."""
    draft.put(index, fate=Fate.GAVE_UP, due=0)
    force_give_up(draft)
    if draft.run.live:
        draft.emit(Answer(index))
    elif wants_run(draft):
        begin_run(draft)
    go_on(draft)


def force_give_up(draft: Draft) -> None:
    """A re-run must find the giving-up, or it would call a step whose undo is on its way (P8)."""
    draft.force()


def may_confirm(draft: Draft) -> bool:
    """Is every recorded branch done, refused or compensated? One still open at the end is waited for (P4)."""
    return all_settled(draft)


def uncalled(draft: Draft) -> int:
    """The index of a recorded call that this run did not make, or -1 (P4)."""
    for place, recorded in draft.run.recorded.items():
        cursor = draft.run.cursors.get(place, 0)
        if cursor < len(recorded):
            return recorded[cursor]
    return -1


def conclude_function(draft: Draft) -> None:
    """Write the outcome when the function has returned and nothing is open."""
    doc = draft.doc
    if doc.returned and not doc.doom and not doc.stuck and not doc.finished and may_confirm(draft):
        finish(draft, State.CONFIRMED)


def returned(draft: Draft, event: Returned) -> None:
    """The function returned: confirm once every recorded branch is settled."""
    if not accepts_calls(draft):
        return
    index = uncalled(draft)
    if index >= 0:
        branch = draft.branches[index]
        mismatch(draft, f"step {index + 1} was {branch.name}{args_text(branch.args)}, the code now ends without calling it")
        return
    draft.run = structs.replace(draft.run, live=False)
    draft.set(returned=True, result=event.result, stuck="")  # a slow repetition came to its end after all
    unstick(draft)
    draft.ride()
    go_on(draft)


def mismatch(draft: Draft, what: str) -> None:
    """The code is no longer the one that made the record: we are a saga. Compensate; past the pivot ask a person."""
    reason = f"code changed: {what}"
    if draft.doc.phase is not State.CONFIRMING:
        stop_run(draft)
        doom(draft, reason)
        return
    ask_person(draft, f"{reason}; past the pivot nothing is undone. Bring back code that makes this call and `troth retry`, "
               "or settle it by hand and `troth resolve`")


def ask_person(draft: Draft, reason: str) -> None:
    """The function's own code can't finish the saga."""
    stop_run(draft)
    first = draft.doc.state is not State.FAILED
    draft.set(state=State.FAILED, stuck=reason, reason=reason)
    draft.force()
    if first:
        draft.emit(Alert("needs_attention", -1, reason))


def raised(draft: Draft, event: Raised) -> None:
    """An exception left the function: cancel; past the pivot run it again, for nothing cancels there (P2)."""
    if not accepts_calls(draft):
        return
    if draft.doc.phase is not State.CONFIRMING:
        stop_run(draft)
        doom(draft, event.reason, event.step)
        return
    run_again(draft, event)


def run_again(draft: Draft, event: Raised) -> None:
    """Past the pivot the function is repeated with backoff, then a person is asked and it is repeated slowly."""
    runs = draft.doc.runs + 1
    draft.run = NO_RUN
    slow = runs >= limits.RETRIES_AFTER_DECISION
    wait = micros(limits.SLOW_RETRY) if slow else pause(runs, limits.RETRY_INTERVAL, event.jitter)
    draft.set(runs=runs, due=draft.at + wait)
    draft.ride()
    if slow:
        ask_person(draft, f"the function fails after its pivot: {event.reason}")


def abandoned(draft: Draft, event: Abandoned) -> None:
    """An inner saga was left by an exception: its branches are given up, durably, before the exception goes on."""
    if accepts_calls(draft) and draft.doc.phase is State.TRYING:
        pivot = in_doubt(draft)
        if pivot in event.branches:
            stop_run(draft)
            doom(draft, "an inner saga was left while its pivot was in doubt", draft.branches[pivot].id)
            return
        for index in event.branches:
            abandon(draft, index)
        go_on(draft)
    draft.emit(Resume(event.token))


def abandon(draft: Draft, index: int) -> None:
    """Give up what an abandoned inner saga called. Calls that were answered get the same answer in a later run."""
    fate = draft.branches[index].fate
    if fate is Fate.DONE:
        draft.put(index, fate=Fate.GAVE_UP, abandoned=True)
    elif fate is Fate.CALLING or fate is Fate.HELD:
        draft.put(index, fate=Fate.GAVE_UP if fate is Fate.CALLING else Fate.NOT_DONE, due=0)
        draft.emit(Answer(index))
    else:
        return
    force_give_up(draft)


def recalled(draft: Draft, event: Recalled) -> None:
    """The function asks for a remembered value."""
    if not accepts_calls(draft):
        return
    expected = next_recorded(draft, event.place)
    if expected < 0:
        return
    if draft.branches[expected].name != REMEMBER:
        mismatch(draft, f"step {expected + 1} was {draft.branches[expected].name}, the code now asks for a remembered value")
        return
    advance(draft, event.place, REMEMBER)
    draft.called = expected


def remembered(draft: Draft, event: Remembered) -> None:
    """Record a drawn value; it is durable before any call that could use it, for each call's intent is forced."""
    if accepts_calls(draft):
        branch = Branch(branch_id(draft, event.place, REMEMBER), REMEMBER, Fate.DONE, result=event.value)
        append(draft, event.place, branch)
        draft.ride()


def resume_function(draft: Draft) -> None:
    """After a crash: settle what is given up and run the function again, or only wait for what it had left open."""
    doc = draft.doc
    undo_given_up(draft)
    pivot = in_doubt(draft)
    if doc.doom and pivot >= 0:
        if not draft.branches[pivot].calling:
            ask_pivot(draft, pivot)
    elif doc.returned:
        ask_open_calls(draft)
        go_on(draft)
    elif draft.run.live:  # a person asks for another round; the function waits
        ask_open_calls(draft)
    elif draft.plan.recover == "cancel" and doc.phase is State.TRYING:
        doom(draft, "its node died, and recover='cancel'")
    else:
        begin_run(draft)


def ask_open_calls(draft: Draft) -> None:
    """Make the calls that are owed and that no run of the function will make."""
    for index in range(len(draft.branches)):
        if draft.branches[index].fate is Fate.CALLING:
            answer_or_ask(draft, index)


def rerun(draft: Draft, event: Rerun) -> None:
    """Run the function again, now or when something that it waits for is settled."""
    doc = draft.doc
    if doc.phase is State.CANCELLING or doc.returned or doc.stuck or doc.resolving:
        return
    draft.run = NO_RUN
    if not event.park and not doc.due:
        begin_run(draft)


def args_text(args: Raw) -> str:
    """Arguments as a person reads them in a message, cut where they are long."""
    text = bytes(args).decode("utf-8", "replace")
    return f"({text if len(text) <= 120 else text[:117] + '...'})"
