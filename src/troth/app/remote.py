"""The part of the Troth object that makes steps of services elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import quote

from msgspec import Raw

from troth.app.host import Host
from troth.app.http_calls import HttpParticipant, make_caller, plain
from troth.app.http_step import HttpOptions, HttpStep, checked_mount, module_of_caller, no_others, urls_of
from troth.app.remote_tcc import DefinesRemoteTcc
from troth.app.runtime import Runtime
from troth.app.step import UNSET, RoleName, Unset
from troth.core.words import Op
from troth.wire.http import STEPS

if TYPE_CHECKING:
    from troth.adapters.callers.http import HttpCaller

R = TypeVar("R")
REMOTE_OPS = (Op.ACTION, Op.COMPENSATE, Op.CHECK, Op.SEAL)


class DefinesRemote(DefinesRemoteTcc, Host):
    """The part of the Troth object that makes steps of services elsewhere, and calls them."""

    runtime: Runtime
    _http: HttpCaller | None = None

    @overload
    def http(
        self, name: str, url: str, *, result: type[R], compensate: str | Unset | None = UNSET, check: str | None = None,
        guarded: bool = False, timeout: float | None = None, attempts: int | None = None, interval: float | None = None,
        role: RoleName = "compensable", aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None,
    ) -> HttpStep[R]: ...
    @overload
    def http(
        self, name: str, url: str, *, compensate: str | Unset | None = UNSET, check: str | None = None, guarded: bool = False,
        timeout: float | None = None, attempts: int | None = None, interval: float | None = None,
        role: RoleName = "compensable", aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None,
    ) -> HttpStep[Any]: ...
    def http(
        self, name: str, url: str, *, result: Any = Any, compensate: str | Unset | None = UNSET, check: str | None = None,
        guarded: bool = False, timeout: float | None = None, attempts: int | None = None, interval: float | None = None,
        role: RoleName = "compensable", aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None, **unknown: Any,
    ) -> HttpStep[Any]:  # fmt: skip
        """A step that any HTTP service does: ``POST url`` with the keyword arguments as one JSON object.

        The status alone says what became of it: 2xx done, 409 refused, 425 not ready yet; see docs/http.md.

        :param name: the name it is stored by.
        :param url: where its action is done.
        :param compensate: where it is undone; None: it needs no undoing.
        :param check: where one can ask whether it happened, without making it happen.
        :param guarded: the service heeds ``Idempotency-Key``: a repeat is harmless, and so is an undo of what never happened.
        :param result: the type of what it answers; default: JSON as it comes.
        :param timeout: seconds one call may take; default 10.
        :param attempts: calls before the decision, the first included; default 3.
        :param interval: seconds of the first pause between two calls; default 1.
        :param role: as in `step`.
        :param aliases: names it had before, so that what was stored by them is found.
        :param headers: sent with each call, e.g. ``{"Authorization": "Bearer …"}``.
        :param secret: signs each call (Standard Webhooks): ``whsec_…``, or several while one takes the other's place.
        :raises DefinitionError: naming the step, what is wrong, and the cure.
        :raises ConfigurationError: if the library for it isn't installed.
        """
        no_others(f"step {name}", unknown, "http")
        options = HttpOptions(
            name, urls_of(url, compensate, check), guarded, result, aliases, timeout, attempts, interval, role, headers, secret,
            waived=compensate is None,
        )  # fmt: skip
        return self._made(options, module_of_caller())

    @overload
    def remote(
        self, url: str, served: str, *, result: type[R], name: str | None = None, compensate: Unset | None = UNSET,
        timeout: float | None = None, attempts: int | None = None, interval: float | None = None,
        role: RoleName = "compensable", aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None,
    ) -> HttpStep[R]: ...
    @overload
    def remote(
        self, url: str, served: str, *, name: str | None = None, compensate: Unset | None = UNSET, timeout: float | None = None,
        attempts: int | None = None, interval: float | None = None, role: RoleName = "compensable",
        aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None, secret: str | Sequence[str] | None = None,
    ) -> HttpStep[Any]: ...
    def remote(
        self, url: str, served: str, *, result: Any = Any, name: str | None = None, compensate: Unset | None = UNSET,
        timeout: float | None = None, attempts: int | None = None, interval: float | None = None,
        role: RoleName = "compensable", aliases: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None, **unknown: Any,
    ) -> HttpStep[Any]:  # fmt: skip
        """A step that another service of troth serves: its effect happens once, and it can be undone, asked about and sealed.

        :param url: where that service's steps are, e.g. ``http://stock/troth``.
        :param served: what it calls the step.
        :param name: the name it is stored by here; default: the same.
        :param compensate: None: it needs no undoing.

        The other parameters are those of `http`.
        """
        no_others(f"step {name or served}", unknown, "remote")
        mount = checked_mount(url, f"step {name or served}")
        where = f"{mount}/{STEPS}/{quote(served, safe='')}"
        options = HttpOptions(
            name or served, dict.fromkeys(REMOTE_OPS, where), True, result, aliases, timeout, attempts, interval, role, headers,
            secret, waived=compensate is None, mount=f"{mount}/", served=served,
        )  # fmt: skip
        return self._made(options, module_of_caller())

    def _made(self, options: HttpOptions, module: str) -> HttpStep[Any]:
        self.http_caller()
        return HttpStep(self, options, module, self.call_plainly)

    def http_caller(self) -> HttpCaller:
        """What calls over HTTP; made at first use."""
        caller = self._http
        if caller is None:
            caller = self._http = make_caller()
            self.runtime.disowned.append(caller.abandon)
            self.runtime.closing.append(caller.close)
        return caller

    def http_participant(self, step: HttpStep[Any]) -> HttpParticipant:
        """The step, for the engine."""
        return HttpParticipant(step, self.http_caller())

    def call_plainly(self, step: HttpStep[Any], args: Raw) -> Any:
        """Call a step outside any saga, and wait."""
        node = self.runtime.started()
        return self.runtime.call(plain(step, self.http_caller(), args), node.loop)

    async def acall_plainly(self, step: HttpStep[Any], args: Raw) -> Any:
        """`call_plainly`, awaited."""
        node = self.runtime.node
        if node is None or node.dead or node.loop.is_closed():
            node = await asyncio.to_thread(self.runtime.started)
        coroutine = plain(step, self.http_caller(), args)
        if node.loop is asyncio.get_running_loop():
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, node.loop))
