"""Brokers, as the Troth object gives them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from troth.adapters.brokers import open_broker
from troth.app.databases import check_resource_name
from troth.ports.broker import Broker
from troth.ports.errors import ConfigurationError

if TYPE_CHECKING:
    from troth.app.runtime import Runtime


class GivesBrokers:
    """The part of the Troth object that knows brokers."""

    runtime: Runtime

    @cached_property
    def brokers(self) -> dict[str, Broker]:
        """The brokers by their names."""
        return {}

    def broker(self, name: str, url: str, **options: Any) -> Broker:
        """A broker that messages go to and come from. Nothing is opened before first use.

        :param name: how errors, tables and metrics call it.
        :param url: ``amqp://…`` (RabbitMQ), ``nats://…`` (NATS JetStream), ``redis://…`` or ``valkey://…`` (streams), or
            ``memory://`` (one process, for tests).
        :param options: see docs/brokers.md.
        :raises ConfigurationError: if the name is taken, an option is none that works, or the library isn't installed.
        """
        check_resource_name("broker", name)
        if name in self.brokers:
            raise ConfigurationError(f"broker {name!r} is defined twice; give one of them another name")
        made = self.brokers[name] = open_broker(name, url, **options)
        self.runtime.disowned.append(made.abandon)
        self.runtime.closing.append(made.close)
        return made
