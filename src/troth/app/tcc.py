"""TCC classes: a try that reserves, a confirm that makes it real, a cancel that gives it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Protocol, TypeVar, overload

from msgspec import Raw

from troth.app.naming import checked_aliases, checked_seconds, class_name_of, class_source
from troth.app.step import check_colour, checked_attempts, checked_refusals
from troth.app.tcc_checks import check_ending, check_instance, colour_of, methods_of, signature_of
from troth.app.tcc_form import FORM, Branch, TccForm, form_of
from troth.app.tcc_participant import TccParticipant
from troth.app.tcc_shape import AsyncFree, AsyncOn, FreeDecorator, OnDecorator, SyncFree, SyncOn
from troth.core import limits
from troth.core.plan import StepSpec
from troth.core.words import Op
from troth.engine.participants import Participant
from troth.ports.database import Database
from troth.ports.errors import DefinitionError

P = ParamSpec("P")
H = TypeVar("H")


class TccHost(Protocol):
    """The Troth object, as TCC classes see it."""

    no_retry: tuple[type[BaseException], ...]

    def register_tcc(self, form: TccForm) -> None:
        """Take a TCC class, once it is made.

        :raises DefinitionError: if another has its name.
        """
        ...


@dataclass(frozen=True, slots=True)
class TccOptions:
    """What `troth.tcc(…)` takes; see there."""

    on: Database | None = None
    guarded: bool = False
    name: str | None = None
    aliases: tuple[str, ...] = ()
    timeout: float | None = None
    attempts: int | None = None
    interval: float | None = None
    refuse_on: type[BaseException] | tuple[type[BaseException], ...] = ()


class TccClass:
    """A TCC class of this process; a `TccForm`.

    :ivar cls: the class; each call makes an object of it.
    :ivar signature: how its try is called over the wire.
    :ivar methods: the functions by op.
    :ivar database: where its holds live, or None.
    :ivar refuse_on: exceptions of its try that mean a definite business no.
    """

    def __init__(self, host: TccHost, cls: type, options: TccOptions) -> None:
        """Check and register the class.

        :raises DefinitionError: naming the class, what is wrong, and the cure.
        """
        self.source: Final = class_source(cls, "tcc class")
        self.name: Final = class_name_of(cls, options.name, "tcc class")
        self.what: Final = f"tcc class {self.name}"
        self.short: Final = cls.__name__
        self.cls: Final = cls
        if FORM in vars(cls):
            raise DefinitionError(f"{self.what}: it is a TCC class already. Leave one of the decorators out.")
        self.aliases: Final = checked_aliases(options.aliases, self.what)
        self.database: Final = options.on
        on = options.on is not None
        methods = methods_of(cls, on, self.what)
        self.is_async: Final = colour_of(methods, self.what)
        check_guarded(options, self.what)
        check_colour(options.on, self.is_async, self.what)
        check_instance(cls, self.what)
        self.signature: Final = signature_of(methods["try_"], on, self.what)
        for ending in ("confirm", "cancel"):
            check_ending(ending, methods[ending], self.signature, on, self.what)
        self.methods: Final = {Op.TRY: methods["try_"], Op.CONFIRM: methods["confirm"], Op.CANCEL: methods["cancel"]}
        self.refuse_on: Final = checked_refusals(options.refuse_on, self.what)
        self.spec: Final = self._spec(options)
        self.participant: Final[Participant] = TccParticipant(self, host.no_retry)
        host.register_tcc(self)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded arguments of a try; see `TccForm.bind`."""
        return self.signature.bind(args, kwargs)

    def encode_hold(self, value: Any) -> Raw:
        """What a try returned, encoded."""
        return self.signature.encode_result(value)

    def decode_hold(self, raw: Raw | bytes) -> Any:
        """What a try returned."""
        return self.signature.decode_result(raw)

    def _spec(self, options: TccOptions) -> StepSpec:
        timeout = limits.PARTICIPANT_TIMEOUT if options.timeout is None else options.timeout
        interval = limits.RETRY_INTERVAL if options.interval is None else options.interval
        return StepSpec(
            name=self.name,
            guarded=True,
            sealable=options.on is not None,
            timeout=checked_seconds(timeout, self.what, "timeout"),
            attempts=checked_attempts(options.attempts, self.what),
            interval=checked_seconds(interval, self.what, "interval"),
        )

    def __repr__(self) -> str:
        return f"<{'async ' if self.is_async else ''}tcc class {self.name}>"


def check_guarded(options: TccOptions, what: str) -> None:
    """Raise unless something stands between a call and its effect: TCC is wrong without a barrier."""
    if options.on is None and not options.guarded:
        raise DefinitionError(
            f"{what}: nothing guards it. Say where its holds live, on=troth.database(…): then a repeated call, a cancel before "
            "its try and a try after its cancel are taken care of. Or say guarded=True, if its methods stand all three."
        )


class Tcc:
    """A base that tells type checkers about ``branch``: ``class Stock(troth.Tcc)``. The decorator works without it too."""

    if TYPE_CHECKING:

        @overload
        @classmethod
        def branch(cls: type[AsyncOn[P, H]], *args: P.args, **kwargs: P.kwargs) -> Branch: ...
        @overload
        @classmethod
        def branch(cls: type[AsyncFree[P, H]], *args: P.args, **kwargs: P.kwargs) -> Branch: ...
        @overload
        @classmethod
        def branch(cls: type[SyncOn[P, H]], *args: P.args, **kwargs: P.kwargs) -> Branch: ...
        @overload
        @classmethod
        def branch(cls: type[SyncFree[P, H]], *args: P.args, **kwargs: P.kwargs) -> Branch: ...

    @classmethod
    def branch(cls, *args: Any, **kwargs: Any) -> Branch:
        """A try with these arguments, declared for `Troth.run_tcc` and not made yet. They are those of ``try_``.

        :raises TypeError: if ``try_`` can't be called so.
        :raises PayloadError: if a value can't be encoded; names the field.
        """
        return Branch.of(form_of(cls), args, kwargs)


def make_tcc(host: TccHost, cls: Any, options: TccOptions) -> Any:
    """Make a class a TCC class; it stays the class it is, and gets ``branch``."""
    own = getattr(cls, "branch", None)
    if own is not None and getattr(own, "__func__", None) is not Tcc.__dict__["branch"].__func__:
        raise DefinitionError(f"tcc class {cls.__qualname__}: branch is taken: it declares a try. Name yours otherwise.")
    setattr(cls, FORM, TccClass(host, cls, options))
    if own is None:
        cls.branch = Tcc.__dict__["branch"]
    return cls


class DefinesTcc:
    """The part of the Troth object that makes TCC classes."""

    @overload
    def tcc(
        self: TccHost,
        cls: None = None,
        /,
        *,
        on: Database,
        guarded: bool = False,
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        interval: float | None = None,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> OnDecorator: ...
    @overload
    def tcc(
        self: TccHost,
        cls: None = None,
        /,
        *,
        on: None = None,
        guarded: Literal[True],
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        interval: float | None = None,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> FreeDecorator: ...
    def tcc(self: TccHost, cls: Any = None, /, **options: Any) -> Any:
        """Make a class with ``try_``, ``confirm`` and ``cancel`` a participant of TCC transactions.

        ``try_(self, db, …)`` checks and reserves; what it returns is the *hold*. ``confirm(self, db, hold)`` makes the
        reserved real, ``cancel(self, db, hold)`` gives it back; its hold is None where the try left none that is known. Each
        call gets a new object, so nothing can be kept in ``self``. All three methods are ``def``, or all three
        ``async def``.

        :param on: the database its holds live in (`Troth.database`): effect, barrier row and hold are one local transaction.
            After ``self`` comes the connection.
        :param guarded: its methods stand repeated calls, a cancel before (or without) its try, and a try after its cancel.
        :param name: the name it is stored by; default ``module.qualname``.
        :param aliases: names it had before, so that what was stored by them is found.
        :param timeout: seconds one call may take; default 10.
        :param attempts: calls of a try, the first included, before all is cancelled; default 3.
        :param interval: seconds of the first pause between two calls; default 1.
        :param refuse_on: exceptions of yours that mean a definite business no of a try, as `Refused` does.
        :raises DefinitionError: naming the class, what is wrong, and the cure.
        """
        made = TccOptions(**options)
        if cls is not None:
            return make_tcc(self, cls, made)
        return lambda given: make_tcc(self, given, made)


