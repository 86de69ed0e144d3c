"""The clauses of the participant protocol that can be examined from outside. docs/participants.md lists them by number."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Raw

from troth.cli.participant.asking import Branch, Said, Target
from troth.core.words import Op
from troth.wire.problem import CONTENT_TYPE
from troth.wire.signing import Signer

Level = Literal["ok", "warn", "fail", "skip"]
ASK_LATER: Final = (425, 429, 503)
NOT_OFFERED: Final = (400, 404, 405, 422, 501)


class Ruling(NamedTuple):
    """What one clause's examination found.

    :param clause: its number.
    :param what: the clause, short.
    :param said: what was answered.
    :param cure: what to do; "" where nothing is to do.
    """

    clause: int
    level: Level
    what: str
    said: str
    cure: str = ""


class Seen(NamedTuple):
    """An answer, and what it answered."""

    what: str
    said: Said


class Examination:
    """One run over all clauses. What was done is undone at its end.

    :ivar seen: every answer.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.seen: list[Seen] = []
        self.open: list[Branch] = []

    def run(self) -> Iterator[Ruling]:
        """Every clause's ruling, in order; only the first if nobody is there."""
        first = Branch(self.target)
        said = self.ask("the action", first, self.target.do)
        reached = said.status != 0
        yield ruled(1, "reached", reached, said.words, "Start the participant, or correct the URL.")
        if not reached:
            return
        yield ruled(2, "the action is done: 2xx", said.done, said.words, "Give arguments that it accepts with --args.")
        if wrong(said):  # whatever is asked for next would be answered the same
            return
        try:
            if said.done:
                self.open.append(first)
                first.keep(said)
                yield from self.repeated(first, said)
                yield from self.undone(first, said)
            yield from self.undone_unrun()
            yield from self.malformed()
            yield from self.signatures()
            if said.done:
                yield from self.looked_up(Op.CHECK, 15, "check", (425, 409))
                yield from self.looked_up(Op.SEAL, 16, "seal", (410,))
                if self.target.tcc:
                    yield from self.confirmed()
        finally:
            for branch in self.open:
                branch.ask(self.target.undo)
        yield from self.manners()

    def ask(self, what: str, branch: Branch, op: Op, **how: object) -> Said:
        """Ask, and remember the answer."""
        said = branch.ask(op, **how)  # type: ignore[arg-type]
        self.seen.append(Seen(what, said))
        return said

    def branch(self) -> Branch:
        """A new one; undone in the end."""
        made = Branch(self.target)
        self.open.append(made)
        return made

    def repeated(self, first: Branch, said: Said) -> Iterator[Ruling]:
        """Clauses 3 to 5: the same key again."""
        again = self.ask("the action again", first, self.target.do)
        same = again.done and again.body == said.body
        cure = "Keep a row per Idempotency-Key in the same local transaction as the effect, and answer from it."
        yield ruled(3, "the action again: the first answer", same, again.words, cure)
        both = self.branch().twice_at_once(self.target.do)
        self.seen.extend(Seen("two at once", each) for each in both)
        good = {each.body for each in both if each.done}
        fine = len(good) == 1 and all(each.done or each.status in ASK_LATER for each in both)
        words = " and ".join(each.words for each in both)
        cure = "Insert the row first; let the second call wait for it, or answer 425."
        yield ruled(4, "twice at once: one effect, one answer", fine, words, cure)
        other = self.ask("other arguments", first, self.target.do, args=changed(self.target.args))
        what, cure = "same key, other arguments: 422", "Compare the arguments with the first call's, so that a mix-up is seen."
        if other.done and other.body == said.body:
            yield Ruling(5, "warn", what, other.words, cure)
        else:
            yield ruled(5, what, wrong(other), other.words, cure)

    def undone(self, first: Branch, said: Said) -> Iterator[Ruling]:
        """Clauses 6 to 8: the undo of what was done."""
        undo, do = self.target.undo, self.target.do
        back = self.ask(f"{undo}", first, undo)
        yield ruled(6, f"{undo}: 2xx", back.done, back.words, "Undo may not be refused: answer 2xx, or 5xx until it works.")
        back = self.ask(f"{undo} again", first, undo)
        cure = "Keep a row for the undo too; the second time nothing is to do."
        yield ruled(7, f"{undo} again: 2xx", back.done, back.words, cure)
        late = self.ask(f"the action after its {undo}", first, do)
        fine = late.status == 409 or (late.done and late.body == said.body)
        yield ruled(8, f"a repeated action after its {undo} has no effect", fine, late.words, "Answer from its row, or 409.")

    def undone_unrun(self) -> Iterator[Ruling]:
        """Clauses 9 and 10: the undo that comes first."""
        undo, branch = self.target.undo, self.branch()
        said = self.ask(f"{undo} without its action", branch, undo)
        cure = "Nothing has to be undone: write the action's row as sealed, and answer 2xx."
        yield ruled(9, f"{undo} of what never ran: 2xx", said.done, said.words, cure)
        said = self.ask("an action that comes late", branch, self.target.do)
        what = f"an action that comes after its {undo}: 409"
        yield ruled(10, what, said.status == 409, said.words, "Look for the sealed row before the effect.")

    def malformed(self) -> Iterator[Ruling]:
        """Clauses 11 to 13: what no coordinator sends on purpose."""
        branch = self.branch()
        said = self.ask("an unknown op", branch, self.target.do, query=f"gid={branch.call.gid}&branch_id=0/check%231&op=no-such-op")
        yield ruled(11, "an unknown op: 400", wrong(said), said.words, "Read op; do nothing for one that you don't know.")
        said = self.ask("a body that is no object", self.branch(), self.target.do, args=Raw(b"[1]"))
        yield ruled(12, "a body that is no JSON object: 400", wrong(said), said.words, "Check the body before anything else.")
        elsewhere = self.target._replace(url=self.target.url.rstrip("/") + "-no-such-path", urls={})
        said = self.ask("a path that isn't there", Branch(elsewhere), self.target.do)
        yield ruled(13, "an unknown path: 404", wrong(said), said.words, "Answer 404, so that a typo in a URL is seen at once.")

    def signatures(self) -> Iterator[Ruling]:
        """Clause 14: with a secret only what is signed is done."""
        what = "unsigned, or wrongly: 401"
        if self.target.signer is None:
            yield Ruling(14, "skip", what, "give --secret")
            return
        stranger = Signer("whsec_" + b64encode(os.urandom(32)).decode())
        unsigned = self.ask("an unsigned call", self.branch(), self.target.do, signer=None)
        forged = self.ask("a call signed with another secret", self.branch(), self.target.do, signer=stranger)
        fine = wrong(unsigned) and wrong(forged)
        yield ruled(14, what, fine, f"{unsigned.words} and {forged.words}", "Verify webhook-signature before anything else.")

    def looked_up(self, op: Op, clause: int, name: str, unrun: tuple[int, ...]) -> Iterator[Ruling]:
        """Clauses 15 and 16: what became of it?"""
        what, fresh = f"{name}: tells what became of it", self.branch()
        said = self.ask(f"{name} of what never ran", fresh, op)
        if said.status in NOT_OFFERED:
            yield Ruling(clause, "skip", what, f"not offered: {said.words}")
            return
        ran = self.branch()
        result = self.ask("the action", ran, self.target.do)
        found = self.ask(f"{name} of what was done", ran, op)
        fine = said.status in unrun and found.done and found.body == result.body
        words = f"never ran: {said.words}; done: {found.words}"
        if op is Op.SEAL and fine:
            late = self.ask("an action after its seal", fresh, self.target.do)
            fine, words = late.status == 409, f"{words}; an action afterwards: {late.words}"
        expected = " or ".join(map(str, unrun))
        yield ruled(clause, what, fine, words, f"Answer {expected} if it never ran, and the action's own answer if it did.")

    def confirmed(self) -> Iterator[Ruling]:
        """Clauses 17 and 18: a try's confirm."""
        branch = self.branch()
        branch.keep(self.ask("a try", branch, Op.TRY))
        said, again = (self.ask("confirm", branch, Op.CONFIRM) for _ in range(2))
        self.open.remove(branch)
        words = f"{said.words} and {again.words}"
        yield ruled(17, "confirm, and again: 2xx", said.done and again.done, words, "Keep a row for the confirm too.")
        said = self.ask("confirm without its try", self.branch(), Op.CONFIRM)
        yield ruled(18, "confirm without its try: 409", 400 <= said.status < 500, said.words, "Nothing is held: answer 409.")

    def manners(self) -> Iterator[Ruling]:
        """Clauses 19 and 20: every answer there was."""
        rough = [each for each in self.seen if each.said.trouble or 300 <= each.said.status < 400]
        words = "; ".join(f"{each.what}: {each.said.words}" for each in rough) or f"{len(self.seen)} answers"
        yield ruled(19, "whole answers of at most 64 KiB in time, no redirects", not rough, words, "Answer directly, and shortly.")
        plain = [each for each in self.seen if each.said.status >= 400 and each.said.kind != CONTENT_TYPE]
        words = f"{plain[0].what}: {plain[0].said.status} as {plain[0].said.kind}" if plain else "all of them"
        level: Level = "warn" if plain else "ok"
        yield Ruling(20, level, f"what isn't 2xx is {CONTENT_TYPE}", words, "Its detail is shown to people." if plain else "")


def ruled(clause: int, what: str, fine: bool, said: str, cure: str) -> Ruling:
    """A clause that holds or doesn't."""
    return Ruling(clause, "ok" if fine else "fail", what, said, "" if fine else cure)


def wrong(said: Said) -> bool:
    """A 4xx that means: the sides don't fit; neither a refusal, nor a request to ask later."""
    return 400 <= said.status < 500 and said.status not in (409, *ASK_LATER)


def changed(args: Raw) -> Raw:
    """Other arguments."""
    values = msgspec.json.decode(args)
    return Raw(msgspec.json.encode({**values, "troth_check": "other"}))
