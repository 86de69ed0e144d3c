"""Steps that are done elsewhere, over HTTP: by any service, or by another service of troth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from troth.app.host import Host
from troth.app.keywords import KeywordSignature
from troth.app.naming import checked_aliases, checked_name
from troth.app.step import UNSET, RoleName, StepOptions, SyncStep, Unset, spec_of_options
from troth.core.plan import StepSpec
from troth.core.words import Op
from troth.ports.errors import DefinitionError
from troth.wire.http import RESERVED, STEPS
from troth.wire.signing import BadSecret, Signer

R = TypeVar("R")
NOT_YOURS: Final = RESERVED | {
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade", "webhook-id", "webhook-signature", "webhook-timestamp",
}  # fmt: skip
"""Headers that are the protocol's, or the transport's."""
TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
"""What a header's name may be made of (RFC 9110, 5.6.2)."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What `troth.http(…)` and `troth.remote(…)` take; see there.

    :param urls: by op.
    :param mount: where a service of troth is; "": it is none.
    :param served: what that service calls the step.
    :param kind: what it is there: ``steps`` or ``tcc``.
    """

    name: str
    urls: Mapping[Op, str]
    guarded: bool
    result: Any = Any
    aliases: tuple[str, ...] = ()
    timeout: float | None = None
    attempts: int | None = None
    interval: float | None = None
    role: RoleName = "compensable"
    headers: Mapping[str, str] | None = None
    secret: str | Sequence[str] | None = None
    waived: bool = False
    mount: str = ""
    served: str = ""
    kind: str = STEPS


class HttpStep(SyncStep[..., R]):
    """A step that is done elsewhere. Called with keyword arguments, which are sent as one JSON object; returns the decoded
    JSON of the answer. It blocks; ``await charge.aio(…)`` is the awaitable spelling.

    :ivar options: where, and how.
    :ivar signer: signs its calls, if there is a secret.
    """

    def __init__(self, host: Host, options: HttpOptions, module: str, ordinary: Callable[[HttpStep[Any], Any], Any]) -> None:
        """Check and register the step.

        :param module: that defines it.
        :param ordinary: calls it outside any saga.
        :raises DefinitionError: naming the step, what is wrong, and the cure.
        """
        kind = "remote" if options.mount else "http"
        self.name = checked_name(options.name, f"{kind} step")
        self.what = f"step {self.name}"
        self.source = (module, f"{kind} step {self.name}")
        self.aliases = checked_aliases(options.aliases, self.what)
        self.options = options
        for op, url in options.urls.items():
            checked_url(url, self.what, "url" if op is Op.ACTION else op.value)
        self.headers = checked_headers(options.headers, self.what)
        self.signer = checked_secret(options.secret, self.what)
        self.is_async = False
        self.database = None
        self.refuse_on = ()
        self.undo = self.checker = None
        self.waived = options.waived
        self.signature = KeywordSignature(self.what, options.result)
        self.spec = self._spec()
        self.__name__ = self.name.rpartition(".")[2]
        self.__signature__ = self.signature.python
        self._host = host
        self.fn = self._plain(ordinary)
        host.register_step(self)

    @property
    def undoable(self) -> bool:
        """There is something that undoes it."""
        return Op.COMPENSATE in self.options.urls and not self.waived

    def _spec(self) -> StepSpec:
        options = self.options
        made = StepOptions(
            guarded=options.guarded, timeout=options.timeout, attempts=options.attempts, role=options.role,
            interval=options.interval, compensate=None if self.waived else UNSET,
        )  # fmt: skip
        return spec_of_options(
            self.name, made, self.what, sealable=bool(options.mount), undoable=self.undoable, checkable=Op.CHECK in options.urls
        )

    def _plain(self, ordinary: Callable[[HttpStep[Any], Any], Any]) -> Callable[..., Any]:
        def fn(*args: Any, **kwargs: Any) -> Any:
            return ordinary(self, self.signature.bind(args, kwargs))

        fn.__name__ = self.__name__
        return fn

    def compensate(self, fn: Any) -> Any:
        """Undone elsewhere too, so no function can be attached.

        :raises DefinitionError: always; names what to write.
        """
        raise DefinitionError(f"{self.what}: what undoes it is called over HTTP too. Say where: compensate={WHERE!r}.")

    def check(self, fn: Any) -> Any:
        """Checked elsewhere too, so no function can be attached.

        :raises DefinitionError: always; names what to write.
        """
        raise DefinitionError(f"{self.what}: its check is called over HTTP too. Say where: check={WHERE!r}.")

    def __reduce__(self) -> str:
        raise TypeError(f"{self.what} can't be pickled: define it at a module's level and import it there")

    def __repr__(self) -> str:
        return f"<http step {self.name}>"


WHERE: Final = "http://…"
Waiver = str | Unset | None


def urls_of(url: str, compensate: Waiver, check: str | None) -> dict[Op, str]:
    """Where each op goes."""
    urls = {Op.ACTION: url}
    if compensate is not UNSET and compensate is not None:
        urls[Op.COMPENSATE] = compensate  # type: ignore[assignment]
    if check is not None:
        urls[Op.CHECK] = check
    return urls


def checked_url(url: object, what: str, option: str) -> str:
    """The URL, if calls can go there.

    :raises DefinitionError: if they can't; says why.
    """
    example = 'Give one like "https://pay.example/charges"'
    if not isinstance(url, str):
        raise DefinitionError(f"{what}: {option}={url!r} is no URL. {example}.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise DefinitionError(f"{what}: {option}={url!r} contains a character that no URL has. Percent-encode it.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DefinitionError(f"{what}: {option}={url!r} is no URL: {error}. {example}.") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise DefinitionError(f"{what}: {option}={url!r} is no http:// or https:// URL with a host. {example}.")
    if "@" in parts.netloc:
        raise DefinitionError(
            f'{what}: {option}= has credentials in it, which end up in logs. Send headers={{"Authorization": …}} instead.'
        )
    if parts.fragment or url.endswith("#"):
        raise DefinitionError(f"{what}: {option}={url!r} has a fragment, which is never sent. Leave out what follows the #.")
    return url


def checked_mount(url: object, what: str) -> str:
    """Where a service of troth's is, without the last slash.

    :raises DefinitionError: if nothing can be below it.
    """
    mount = checked_url(url, what, "url").rstrip("/")
    if "?" in mount:
        raise DefinitionError(f"{what}: url={url!r} has a query. Give where the service is mounted, e.g. http://stock/troth.")
    return mount


def checked_headers(headers: object, what: str) -> dict[str, str]:
    """The headers by lower-case name, if they can be sent.

    :raises DefinitionError: if one can't; names it.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise DefinitionError(f'{what}: headers={headers!r} are none. Write headers={{"Authorization": "Bearer …"}}.')
    made: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower() if isinstance(name, str) else ""
        if not lower or not TOKEN.issuperset(lower):
            raise DefinitionError(f"{what}: headers=: {name!r} is no header's name. Use letters, digits and -.")
        if lower in NOT_YOURS:
            raise DefinitionError(f"{what}: headers=: {name} is set by troth or by the transport. Leave it out.")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise DefinitionError(f"{what}: headers=: the value of {name} is no printable ASCII text. Encode it.")
        made[lower] = value
    return made


def checked_secret(secret: Any, what: str) -> Signer | None:
    """What signs with the secret, or with the secrets while one takes the other's place.

    :raises DefinitionError: if one is none; doesn't show it.
    """
    if secret is None:
        return None
    try:
        return Signer(secret)
    except BadSecret as error:
        raise DefinitionError(f'{what}: secret=: {error}. Give "whsec_" and base64 of 24 to 64 random bytes.') from None


def no_others(what: str, unknown: Mapping[str, Any], verb: str) -> None:
    """Raise if there are options that a verb doesn't have."""
    if unknown:
        raise DefinitionError(f"{what}: troth.{verb} has no option {next(iter(unknown))}=. Leave it out.")


def module_of_caller() -> str:
    """The module that calls what calls this."""
    return str(sys._getframe(2).f_globals.get("__name__", ""))
