"""TCC classes that another service of troth serves, and the part of the Troth object that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from msgspec import Raw

from troth.app.http_calls import HttpParticipant
from troth.app.http_step import HttpOptions, checked_headers, checked_mount, checked_secret, module_of_caller, no_others
from troth.app.keywords import KeywordSignature
from troth.app.naming import checked_aliases, checked_name
from troth.app.step import StepOptions, spec_of_options
from troth.app.tcc_form import Branch
from troth.engine.participants import Participant
from troth.participant.serving import TCC_OPS
from troth.wire.http import TCC

if TYPE_CHECKING:
    from troth.app.troth import Troth


class RemoteTcc:
    """A TCC class elsewhere; a `troth.app.tcc_form.TccForm`. Its tries take keyword arguments, sent as one JSON object.

    ``Stock.branch(sku="book", n=1)`` declares a try, ``tx(Stock).try_(sku="book", n=1)`` makes one.
    """

    is_async = False

    def __init__(self, troth: Troth, options: HttpOptions, module: str) -> None:
        """Check and register it.

        :param module: that names it.
        :raises DefinitionError: naming the class, what is wrong, and the cure.
        """
        self.name = checked_name(options.name, "remote tcc class")
        self.what = f"tcc class {self.name}"
        self.short = self.name.rpartition(".")[2]
        self.source = (module, f"remote tcc class {self.name}")
        self.aliases = checked_aliases(options.aliases, self.what)
        self.options = options
        self.headers = checked_headers(options.headers, self.what)
        self.signer = checked_secret(options.secret, self.what)
        self.signature = KeywordSignature(self.what, options.result)
        made = StepOptions(guarded=True, timeout=options.timeout, attempts=options.attempts, interval=options.interval)
        self.spec = spec_of_options(self.name, made, self.what, sealable=False)
        self._troth = troth
        troth.http_caller()
        troth.register_tcc(self)

    @cached_property
    def participant(self) -> Participant:
        """It as the engine sees it."""
        return HttpParticipant(self, self._troth.http_caller())

    def branch(self, **arguments: Any) -> Branch:
        """A try with these arguments, declared for `Troth.run_tcc` and not made yet.

        :raises PayloadError: if a value can't be encoded; names the field.
        """
        return Branch.of(self, (), arguments)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded arguments of a try; see `TccForm.bind`."""
        return self.signature.bind(args, kwargs)

    def decode_hold(self, raw: Raw | bytes) -> Any:
        """What its try returned."""
        return self.signature.decode_result(raw)

    def __repr__(self) -> str:
        return f"<remote tcc class {self.name}>"


class DefinesRemoteTcc:
    """The part of the Troth object that names TCC classes of services elsewhere."""

    def remote_tcc(
        self, url: str, served: str, *, result: Any = Any, name: str | None = None, timeout: float | None = None,
        attempts: int | None = None, interval: float | None = None, aliases: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None, secret: str | Sequence[str] | None = None, **unknown: Any,
    ) -> RemoteTcc:  # fmt: skip
        """A TCC class that another service of troth serves.

        :param url: where that service's classes are, e.g. ``http://stock/troth``.
        :param served: what it calls the class.
        :param result: the type of its hold; default: JSON as it comes.
        :param name: the name it is stored by here; default: the same.
        :param timeout: seconds one call may take; default 10.
        :param attempts: calls of a try, the first included, before all is cancelled; default 3.
        :param interval: seconds of the first pause between two calls; default 1.
        :param aliases: names it had before, so that what was stored by them is found.
        :param headers: sent with each call.
        :param secret: signs each call (Standard Webhooks): ``whsec_…``, or several while one takes the other's place.
        :raises DefinitionError: naming the class, what is wrong, and the cure.
        :raises ConfigurationError: if the library for calls isn't installed.
        """
        what = f"tcc class {name or served}"
        no_others(what, unknown, "remote_tcc")
        mount = checked_mount(url, what)
        where = f"{mount}/{TCC}/{quote(served, safe='')}"
        options = HttpOptions(
            name or served, dict.fromkeys(sorted(TCC_OPS), where), True, result, aliases, timeout, attempts, interval,
            headers=headers, secret=secret, mount=f"{mount}/", served=served, kind=TCC,
        )  # fmt: skip
        return RemoteTcc(cast("Troth", self), options, module_of_caller())
