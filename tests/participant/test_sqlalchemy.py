"""Steps on SQLAlchemy: what a session holds, what its listeners hear, what a pool gets back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import Raw
from sqlalchemy import event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from tests.participant.calls import new_call
from troth.app.databases import open_database
from troth.core.words import Word
from troth.participant.database import Guarded
from troth.ports.errors import ConfigurationError, DefinitionError, Ongoing, Refused


class Base(DeclarativeBase):
    """The models of this file."""


class Item(Base):
    """Something with a name that no other has."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


Does = Callable[[Any], Any]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """A file of its own, with the models' tables."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def factory(engine: sa.Engine) -> sessionmaker[Session]:
    """Sessions on it."""
    return sessionmaker(engine)


@pytest.fixture
def shop(factory: sessionmaker[Session]) -> Guarded:
    """A database whose steps get sessions."""
    return open_database("shop", factory)


def doing(does: Does) -> Callable[[Any, Raw | None], Raw]:
    """An effect that does it."""

    def effect(db: Any, stored: Raw | None) -> Raw:
        does(db)
        return Raw(b"1")

    return effect


def names(engine: sa.Engine) -> list[str]:
    """The names of the items that were kept."""
    with Session(engine) as session:
        return sorted(session.scalars(sa.select(Item.name)))


def adding(name: str, error: Exception | None = None) -> Does:
    """Adds an item and leaves the flush to others."""

    def add(db: Session) -> None:
        db.add(Item(name=name))
        if error is not None:
            raise error

    return add


def test_what_a_session_holds_is_flushed_with_the_effect(shop: Guarded, engine: sa.Engine) -> None:
    """Added and never flushed by the step: it is kept, and a flush that fails is the step's failure."""
    assert shop.run(new_call(), doing(adding("a"))).word is Word.DONE
    reply = shop.run(new_call(), doing(adding("a")))
    assert (reply.word, "IntegrityError" in reply.reason) == (Word.NOT_DONE, True)
    assert names(engine) == ["a"]


def test_what_a_session_holds_goes_with_a_refusal(shop: Guarded, engine: sa.Engine) -> None:
    """It is not flushed by the commit that keeps the refusal; with `Ongoing` it is kept."""
    call = new_call()
    assert shop.run(call, doing(adding("no", Refused("sold out")))).word is Word.REFUSED
    assert shop.run(call, doing(adding("late"))).word is Word.REFUSED
    assert shop.run(new_call(), doing(adding("asked", Ongoing()))).word is Word.ONGOING
    assert names(engine) == ["asked"]


def test_a_failed_flush_can_be_answered_by_a_refusal(shop: Guarded, engine: sa.Engine) -> None:
    """The session was rolled back by SQLAlchemy, but only to the step's own savepoint: the refusal is remembered."""
    shop.run(new_call(), doing(adding("a")))

    def taken(db: Session) -> None:
        db.add(Item(name="a"))
        try:
            db.flush()
        except sa.exc.IntegrityError:
            raise Refused("the name is taken") from None

    call = new_call()
    assert shop.run(call, doing(taken)).word is Word.REFUSED
    again = shop.run(call, doing(adding("b")))
    assert (again.word, again.reason) == (Word.REFUSED, "the name is taken")
    assert names(engine) == ["a"]


def test_a_swallowed_failure_of_a_flush_is_not_done(shop: Guarded, engine: sa.Engine) -> None:
    """What the step did before went with it, so nothing may be kept."""
    shop.run(new_call(), doing(adding("a")))

    def swallowing(db: Session) -> None:
        db.add(Item(name="before"))
        db.flush()
        db.add(Item(name="a"))
        try:
            db.flush()
        except sa.exc.IntegrityError:
            pass

    reply = shop.run(new_call(), doing(swallowing))
    assert (reply.word, "swallowed" in reply.reason, names(engine)) == (Word.NOT_DONE, True, ["a"])


def test_a_savepoint_of_the_step_may_fail(shop: Guarded, engine: sa.Engine) -> None:
    """``begin_nested`` works as ever; one that is left open is refused."""
    shop.run(new_call(), doing(adding("a")))

    def partly(db: Session) -> None:
        db.add(Item(name="b"))
        with pytest.raises(sa.exc.IntegrityError), db.begin_nested():
            db.add(Item(name="a"))
            db.flush()
        with db.begin_nested():
            db.add(Item(name="c"))

    assert shop.run(new_call(), doing(partly)).word is Word.DONE
    for database in (shop, open_database("shop", engine)):
        reply = database.run(new_call(), doing(lambda db: db.begin_nested()))
        assert (reply.word, reply.retry, "left open" in reply.reason) == (Word.NOT_DONE, False, True)
    assert names(engine) == ["a", "b", "c"]


def test_listeners_hear_of_a_commit_when_it_is_one(engine: sa.Engine) -> None:
    """``after_commit`` sees the row from outside; after a refusal and for a duplicate it hears nothing."""
    factory = sessionmaker(engine)
    shop, heard = open_database("shop", factory), list[Any]()
    event.listen(factory, "before_commit", lambda session: session.add(Item(name="by a listener")))
    event.listen(factory, "after_commit", lambda session: heard.append(names(engine)))
    event.listen(factory, "after_rollback", lambda session: heard.append("rolled back"))
    call = new_call()
    assert shop.run(call, doing(adding("a"))).word is Word.DONE
    assert shop.run(call, doing(adding("a"))).word is Word.DONE
    assert heard == [["a", "by a listener"]]
    shop.run(new_call(), doing(adding("b", Refused("no"))))
    assert heard == [["a", "by a listener"], "rolled back"]


def test_a_listener_that_fails_after_the_commit_changes_nothing(engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    """It is committed; the failure is logged."""
    factory = sessionmaker(engine)
    event.listen(factory, "after_commit", lambda session: 1 / 0)
    assert open_database("shop", factory).run(new_call(), doing(adding("a"))).word is Word.DONE
    assert "a listener failed" in caplog.text


def test_a_session_keeps_its_own_class_and_its_factorys_options(engine: sa.Engine) -> None:
    """``isinstance`` holds, and the connection of a session is guarded as the session is."""

    class Mine(Session):
        """A user's own."""

        greeting = "hello"

    shop = open_database("shop", sessionmaker(engine, class_=Mine, info={"tenant": 7}, autoflush=False))

    def look(db: Any) -> None:
        assert isinstance(db, Mine)
        assert (db.greeting, db.info, db.autoflush) == ("hello", {"tenant": 7}, False)

    assert shop.run(new_call(), doing(look)).word is Word.DONE
    reply = shop.run(new_call(), doing(lambda db: db.connection().commit()))
    assert isinstance(reply.cause, DefinitionError)


def test_plain_steps_have_sessions_too(shop: Guarded, engine: sa.Engine) -> None:
    """Flushed and committed, or rolled back with the exception passed on; an ended transaction is an error."""
    shop.plain(adding("a"))
    with pytest.raises(KeyError):
        shop.plain(adding("b", KeyError("x")))
    with pytest.raises(DefinitionError, match="ended inside the step"):
        shop.plain(lambda db: db.connection().exec_driver_sql("ROLLBACK"))
    assert names(engine) == ["a"]


def test_two_that_read_and_then_write_wait_in_line(engine: sa.Engine) -> None:
    """sqlite3 would begin without the write lock, and one of them would fail."""
    database = open_database("shop", engine)

    def counting(number: int) -> Word:
        def effect(db: sa.Connection, stored: Raw | None) -> Raw:
            count = db.execute(sa.select(sa.func.count()).select_from(Item)).scalar_one()
            db.execute(sa.insert(Item).values(name=f"{count}"))
            return Raw(b"1")

        return database.run(new_call(), effect).word

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(counting, range(24))) == [Word.DONE] * 24
    assert len(names(engine)) == 24


def test_a_connection_goes_back_to_its_pool_as_it_was(tmp_path: Path) -> None:
    """Whoever takes it next finds sqlite3's own transactions and the engine's timeout, also with a begin listener."""
    for number, listens in enumerate((False, True)):
        engine = sa.create_engine(f"sqlite:///{tmp_path / f'{number}.db'}", connect_args={"timeout": 1.5}, pool_size=1)
        if listens:
            event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        database = open_database("shop", engine)
        for _ in range(2):
            assert database.run(new_call(), doing(lambda db: db.exec_driver_sql("SELECT 1"))).word is Word.DONE
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            assert raw.isolation_level == (None if listens else "")
            assert raw.execute("PRAGMA busy_timeout").fetchone() == (1500,)
        assert engine.pool.status().startswith("Pool size: 1  Connections in pool: 1")
        engine.dispose()


def test_a_file_that_stays_locked_is_not_done(engine: sa.Engine) -> None:
    """Within the call's time, in words; the pool is whole afterwards."""
    database = open_database("shop", engine)
    holder = sqlite3.connect(str(engine.url.database), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    reply = database.run(new_call(timeout=0.05), doing(lambda db: None))
    assert (reply.word, "stayed locked" in reply.reason) == (Word.NOT_DONE, True)
    holder.close()
    assert database.run(new_call(), doing(lambda db: None)).word is Word.DONE


def test_an_engine_whose_pool_is_used_up_is_not_done(tmp_path: Path) -> None:
    """Nothing was sent; how long it waits is the engine's pool_timeout."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    database = open_database("shop", engine)
    with engine.connect():
        reply = database.run(new_call(), doing(lambda db: None))
    assert (reply.word, "QueuePool limit" in reply.reason) == (Word.NOT_DONE, True)
    engine.dispose()


def test_targets_that_can_not_work_are_refused_at_once() -> None:
    """Each says what to give instead."""
    engine = sa.create_engine("sqlite:///x.db")
    aengine = create_async_engine("postgresql+psycopg://nobody@localhost/x")
    for target, words in (
        (sa.create_engine("sqlite://"), "no file"),
        (sessionmaker(), "bound to None"),
        (sessionmaker(binds={Item: engine}), "binds="),
        (sessionmaker(engine, twophase=True), "twophase"),
        (async_sessionmaker(), "bound to None"),
        (scoped_session(sessionmaker(engine)), "session_factory"),
        (sa.MetaData(), "no Engine"),
        (sa.create_engine("postgresql+asyncpg://nobody@localhost/x"), "create_async_engine"),
        (7, "none that troth knows"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            open_database("shop", target)
    with pytest.raises(ConfigurationError, match="pool_size: an engine has its own options"):
        open_database("shop", engine, pool_size=3)
    for database, verb in ((open_database("shop", aengine), "plain"), (open_database("shop", engine), "aplain")):
        with pytest.raises(DefinitionError, match="engine"):
            made = getattr(database, verb)(doing(lambda db: None))
            made.send(None)
