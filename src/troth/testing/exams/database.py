"""The exam of databases: one test per clause of `troth.ports.database`, in either colour.

Subclass `DatabaseExam` in a test module and give it a fixture ``bench`` that yields a prepared `Bench` on an empty
database.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any

from troth.core.barrier import ALERT
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.participant.barrier import TRIES
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, Ongoing, PayloadError, Refused
from troth.testing.exams.database_bench import Bench, BusinessError, Deed, call_of


def raising(error: BaseException, **more: Any) -> Deed:
    """A deed that leaves its note and then raises, once."""
    return Deed(fails=(error,), **more)


def heard(reply: Reply) -> tuple[Word, bytes, str]:
    """What of a reply a duplicate must repeat."""
    return reply.word, bytes(reply.result), reply.reason


class DatabaseExam:
    """Every clause, examined at a ``bench``."""

    def test_c01_tables_are_made_at_first_use_by_whoever_comes(self, bench: Bench) -> None:
        """Two databases used for the first time at once, by two threads, both answer."""
        replies = at_once(bench, [call_of("c01/a#1"), call_of("c01/b#1")])
        assert [reply.word for reply in replies] == [Word.DONE, Word.DONE]

    def test_c02_an_exception_is_a_reply_and_a_base_exception_passes(self, bench: Bench) -> None:
        """Every Exception is answered; KeyboardInterrupt leaves, undone, and the next call works."""
        call = call_of("c02#1")
        for error in (ValueError("x"), StopIteration(), ExceptionGroup("g", [KeyError("k")]), AssertionError()):
            assert bench.ask(call, raising(error)).word is Word.NOT_DONE
        try:
            bench.ask(call, raising(SystemExit(3)))
        except SystemExit:
            pass
        else:
            raise AssertionError("SystemExit must pass through")
        assert bench.notes(call) == []
        assert bench.ask(call).word is Word.DONE

    def test_c03_effect_and_row_are_one_local_transaction(self, bench: Bench) -> None:
        """After a failure neither is there, after success both are."""
        call = call_of("c03#1")
        bench.ask(call, raising(ValueError("x")))
        assert (bench.notes(call), bench.barrier_rows()) == ([], 0)
        bench.ask(call)
        assert (bench.notes(call), bench.barrier_rows()) == (["did"], 1)

    def test_c04_a_duplicate_has_no_effect_and_the_first_answer(self, bench: Bench) -> None:
        """Whatever the duplicate's own function would do."""
        call = call_of("c04#1")
        first = bench.ask(call, Deed(result=b'{"left":7}'))
        again = bench.ask(call, Deed(note="twice", result=b"8"))
        assert heard(first) == heard(again) == (Word.DONE, b'{"left":7}', "")
        assert bench.notes(call) == ["did"]
        other = bench.ask(call._replace(args=call_of("x", args=b'{"n":2}').args))
        assert other.word is Word.CONFLICT

    def test_c05_a_refusal_is_remembered_without_its_effect(self, bench: Bench) -> None:
        """A do that was refused stays refused; an undo or a confirm that was refused may still succeed."""
        for name, error in (("c05a#1", Refused("sold out")), ("c05b#1", BusinessError("sold out"))):
            call = call_of(name)
            first = bench.ask(call, raising(error))
            assert heard(first) == heard(bench.ask(call)) == (Word.REFUSED, b"null", "sold out")
            assert bench.notes(call) == []
            assert bench.ask(call_of(name, Op.COMPENSATE), Deed("undone")).word is Word.DONE
            assert bench.notes(call) == []
        for do, end in ((Op.ACTION, Op.COMPENSATE), (Op.TRY, Op.CONFIRM), (Op.PREPARE, Op.ROLLBACK)):
            call = call_of(f"c05/{end}#1", do)
            bench.ask(call)
            assert bench.ask(call._replace(op=end), raising(Refused("no"))).word is Word.REFUSED
            assert bench.ask(call._replace(op=end), Deed("ended")).word is Word.DONE
            assert bench.notes(call) == ["did", "ended"]

    def test_c06_any_other_exception_undoes_everything(self, bench: Bench) -> None:
        """It is not_done, and the next call runs; a programming error says that it can't do better."""
        call = call_of("c06#1")
        reply = bench.ask(call, raising(ValueError("odd")))
        assert (reply.word, reply.reason, reply.retry) == (Word.NOT_DONE, "ValueError: odd", True)
        for error in (TypeError("t"), NameError("n"), PayloadError("result", "is a lambda")):
            assert (bench.ask(call, raising(error)).retry, bench.notes(call)) == (False, [])
        assert bench.ask(call).word is Word.DONE

    def test_c07_ongoing_keeps_the_effect_and_runs_again(self, bench: Bench) -> None:
        """Until done; a failure in between leaves it begun, so it is unknown; an undo closes it."""
        call = call_of("c07#1")
        first = bench.ask(call, raising(Ongoing(2.5), note="asked"))
        assert (first.word, first.after) == (Word.ONGOING, 2.5)
        assert bench.ask(call, raising(ValueError("x"))).word is Word.UNKNOWN
        assert bench.ask(call, raising(Refused("late no"))).word is Word.UNKNOWN
        assert bench.ask(call_of("c07#1", Op.SEAL)).word is Word.ONGOING
        assert bench.ask(call, Deed("got", b"5")).word is Word.DONE
        assert bench.notes(call) == ["asked", "got"]
        other = call_of("c07#2")
        bench.ask(other, raising(Ongoing(), note="asked"))
        assert bench.ask(call_of("c07#2", Op.COMPENSATE), Deed("undone")).word is Word.DONE
        assert bench.ask(other).word is Word.REFUSED
        assert bench.notes(other) == ["asked", "undone"]

    def test_c08_an_undo_or_seal_without_its_do_makes_it_impossible(self, bench: Bench) -> None:
        """It runs nothing; the late do is refused; a check only looks."""
        undone, sealed, asked = call_of("c08/a#1"), call_of("c08/b#1"), call_of("c08/c#1")
        assert bench.ask(undone._replace(op=Op.COMPENSATE), Deed("undone")).word is Word.DONE
        assert bench.ask(sealed._replace(op=Op.SEAL)).word is Word.SEALED
        assert bench.ask(sealed._replace(op=Op.CHECK)).word is Word.REFUSED
        for call in (undone, sealed):
            assert (bench.ask(call).word, bench.notes(call)) == (Word.REFUSED, [])
        assert bench.ask(asked._replace(op=Op.CHECK)).word is Word.ONGOING
        assert bench.ask(asked, Deed(result=b"4")).word is Word.DONE
        for op in (Op.CHECK, Op.SEAL):
            assert heard(bench.ask(asked._replace(op=op)))[:2] == (Word.DONE, b"4")
        assert bench.ask(call_of("c08/d#1", Op.CONFIRM)).word is Word.REFUSED
        assert bench.notes(call_of("c08/d#1")) == []

    def test_c09_an_undo_is_given_the_stored_result(self, bench: Bench) -> None:
        """The row's own, where it has one; else what came with the call."""
        call = call_of("c09#1")
        bench.ask(call, Deed(result=b'"paid"'))
        bench.ask(call_of("c09#1", Op.COMPENSATE, result=b'"told"'))
        begun = call_of("c09#2")
        bench.ask(begun, raising(Ongoing()))
        bench.ask(call_of("c09#2", Op.COMPENSATE, result=b'"told"'))
        assert bench.stored == [None, b'"paid"', None, b'"told"']

    def test_c10_equal_calls_at_once_have_one_effect(self, bench: Bench) -> None:
        """Each gets the same answer, in all interleavings of doing and undoing."""
        for round_ in range(5):
            call = call_of(f"c10#{round_}")
            replies = at_once(bench, [call] * 3)
            assert {heard(reply)[:2] for reply in replies} == {(Word.DONE, b"9")}
            undo = at_once(bench, [call._replace(op=Op.COMPENSATE)] * 2)
            assert [reply.word for reply in undo] == [Word.DONE] * 2
            assert len(bench.notes(call)) == 2
            mixed = call_of(f"c10/mixed#{round_}")
            do, undone = at_once(bench, [mixed, mixed._replace(op=Op.COMPENSATE)])
            assert (undone.word, len(bench.notes(mixed))) == (Word.DONE, 2 if do.word is Word.DONE else 0)

    def test_c11_an_error_from_commit_is_unknown(self, bench: Bench) -> None:
        """And the next call finds out."""
        call = call_of("c11#1")
        if bench.uncommittable is None:
            return
        reply = bench.ask(call, bench.uncommittable)
        assert (reply.word, "COMMIT" in reply.reason) == (Word.UNKNOWN, True)
        assert bench.ask(call).word is Word.DONE
        assert bench.notes(call) == ["did"]

    def test_c12_conflicts_are_retried_inside_a_bounded_number_of_times(self, bench: Bench) -> None:
        """The whole local transaction is run again, and one effect is left."""
        call, never = call_of("c12#1"), call_of("c12#2")
        assert bench.ask(call, Deed(fails=(bench.conflict(), bench.conflict()))).word is Word.DONE
        assert (bench.runs, bench.notes(call)) == (3, ["did"])
        reply = bench.ask(never, Deed(fails=[bench.conflict() for _ in range(TRIES * 2)]))
        assert (reply.word, bench.runs, bench.notes(never)) == (Word.NOT_DONE, 3 + TRIES, [])

    def test_c13_what_would_end_the_local_transaction_is_refused(self, bench: Bench) -> None:
        """In words; a COMMIT sent all the same is unknown and alerts."""
        for number, (name, forbidden) in enumerate(bench.forbidden.items()):
            call = call_of(f"c13#{number}")
            reply = bench.ask(call, Deed(also=forbidden))
            assert isinstance(reply.cause, DefinitionError), name
            assert (reply.word, reply.retry, bench.notes(call)) == (Word.NOT_DONE, False, []), name
        for number, statement in enumerate(("COMMIT", "ROLLBACK")):
            for deed in (Deed(sql=(statement,)), raising(KeyError("x"), sql=(statement,))):
                reply = bench.ask(call_of(f"c13/{number}/{len(deed.fails)}#1"), deed)
                assert (reply.word, reply.retry) == (Word.UNKNOWN, False)
                assert reply.reason.startswith(ALERT)
        assert bench.ask(call_of("c13/after#1")).word is Word.DONE

    def test_c14_purged_evidence_is_unknown(self, bench: Bench) -> None:
        """A log's rows below its mark go after a while, its own only; an older call without a row runs nothing."""
        old, other = call_of("c14/old#1", begun=5), call_of("c14/other#1", begun=5, log="log-b")
        bench.ask(old)
        bench.ask(other)
        for number in range(2_000):
            bench.ask(call_of(f"c14/{number}#1", begun=1_000, low_water=1_000))
            if number % 50 == 49 and bench.ask(old._replace(op=Op.CHECK)).word is Word.UNKNOWN:
                break
        for op in (Op.ACTION, Op.COMPENSATE, Op.SEAL, Op.CHECK):
            reply = bench.ask(old._replace(op=op), Deed("twice"))
            assert (reply.word, "evidence purged" in reply.reason) == (Word.UNKNOWN, True)
        assert bench.notes(old) == ["did"]
        assert bench.ask(other._replace(op=Op.CHECK)).word is Word.DONE

    def test_c15_plain_commits_or_passes_the_exception_on(self, bench: Bench) -> None:
        """An ordinary local transaction, without a barrier."""
        call = call_of("c15#1")
        bench.plain(bench.insert, (call.branch, "plain"))
        try:
            bench.plain("INSERT INTO exam_note VALUES (NULL, NULL)")
        except Exception as error:
            assert not isinstance(error, DefinitionError)
        else:
            raise AssertionError("the database's own error must pass through")
        assert bench.notes(call) == ["plain"]

    def test_c16_close_can_be_called_twice_and_use_opens_again(self, bench: Bench) -> None:
        """Nothing is lost by it."""
        call = call_of("c16#1")
        bench.ask(call)
        for _ in range(2):
            bench.database.close()
            if bench.runner is not None:
                bench.runner.run(bench.database.aclose())
        assert bench.notes(call) == ["did"]

    def test_c17_after_abandon_new_connections_are_used(self, bench: Bench) -> None:
        """As in a forked child."""
        call = call_of("c17#1")
        bench.ask(call)
        bench.database.abandon()
        assert bench.ask(call).word is Word.DONE
        assert bench.notes(call) == ["did"]

    def test_c18_cancelled_at_any_await_every_connection_answers_its_own_query(self, bench: Bench) -> None:
        """At most one effect is left, and the next call finds out; a sync database has no await."""
        runner, number, reached = bench.runner, 0, True
        while runner is not None and reached:
            number += 1
            call = call_of(f"c18#{number}", low_water=number)
            attempt = bench.database.arun(call, bench.async_effect(call, Deed(result=b"1")))
            reached = runner.run(cancelled_at(number, attempt))
            runner.run(own_answers(bench))
            assert bench.ask(call).word is Word.DONE
            assert bench.notes(call) == ["did"]
        assert runner is None or number > 5

    def test_c19_branches_and_transactions_are_told_apart_byte_by_byte(self, bench: Bench) -> None:
        """However the database compares texts: each has an effect of its own."""
        calls = [call_of(f"c19/{name}#1") for name in ("a", "A", "ä", "ａ", "a ", "\N{LATIN SMALL LETTER A}\u0308", "甲", "乙")]
        calls += [calls[0]._replace(uid=uid, branch=f"c19/{uid.hex()}#1") for uid in (b"\xff" * 16, b"\x00'%\\?\"\n\x80" * 2)]
        for call in calls:
            assert bench.ask(call, Deed(result=b"1")).word is Word.DONE
        assert [bench.notes(call)[:1] for call in calls] == [["did"]] * len(calls)
        assert bench.runs == len(calls)


def at_once(bench: Bench, calls: list[Call]) -> list[Reply]:
    """Make the calls side by side, each by a database object of its own as another process would."""
    deed = Deed(result=b"9")
    if bench.runner is not None:

        async def all_of_them() -> list[Reply]:
            database = bench.database
            return await asyncio.gather(*(database.arun(call, bench.async_effect(call, deed)) for call in calls))

        return bench.runner.run(all_of_them())
    databases = [bench.make() for _ in calls]
    replies: dict[int, Reply] = {}
    start = threading.Barrier(len(calls))

    def ask(number: int) -> None:
        start.wait(10)
        replies[number] = databases[number].run(calls[number], bench.effect(calls[number], deed))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for database in databases:
        database.close()
    return [replies[number] for number in range(len(calls))]


class _Interrupted:
    """Awaits something, and cancels its own task just before the n-th time it would wait."""

    def __init__(self, at: int, awaited: Any) -> None:
        self.left = at
        self.awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.awaited.__await__()
        step, argument = inner.send, None
        while True:
            try:
                waiting = step(argument)
            except StopIteration as stop:
                return stop.value
            self.left -= 1
            if self.left == 0:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                argument = yield waiting
                step = inner.send
            except BaseException as error:
                argument, step = error, inner.throw


async def cancelled_at(number: int, awaited: Any) -> bool:
    """Run the awaitable in a task that is cancelled at its n-th wait; False if it ended before."""

    async def body() -> Any:
        return await _Interrupted(number, awaited)

    task = asyncio.create_task(body())
    await asyncio.wait([task])
    return task.cancelled()


async def own_answers(bench: Bench, tasks: int = 6) -> None:
    """Every pooled connection answers the query that it is asked."""

    async def ask(number: int) -> None:
        async def query(db: Any) -> Any:
            return (await bench.speak(db, f"SELECT {number}", ()))[0][0]

        answered = await bench.database.aplain(query)
        assert answered == number, f"asked for {number}, got {answered}"

    await asyncio.gather(*(ask(number) for number in range(tasks)))
