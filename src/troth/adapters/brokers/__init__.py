"""Brokers: one module per library. `open_broker` finds the one for a URL."""

from __future__ import annotations

import importlib.util
from typing import Any

from troth.ports.broker import Broker
from troth.ports.errors import ConfigurationError

URLS = "amqp://host/vhost (RabbitMQ), nats://host:4222, redis://host:6379/0, valkey://host:6379/0 or memory://"


def open_broker(name: str, url: str, **options: Any) -> Broker:
    """The broker for a URL. Nothing is opened.

    :param name: how errors and tables call it.
    :param url: ``amqp://…`` or ``amqps://…`` (RabbitMQ, with ``troth[rabbitmq]``), ``nats://…`` or ``tls://…`` (NATS
        JetStream, with ``troth[nats]``), ``redis://…``, ``rediss://…``, ``valkey://…``, ``valkeys://…`` (streams of Redis or
        Valkey, with ``troth[redis]``), or ``memory://`` (one process, nothing is kept: for tests).
    :param options: see the adapter's class.
    :raises ConfigurationError: if the URL or an option is none that works, or the library isn't installed.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    made = _MAKERS.get(scheme)
    if made is None:
        raise ConfigurationError(f"broker {name!r}: {url.partition('?')[0]!r} is none that troth knows. Use {URLS}.")
    library, extra, module, kind = made
    if library and importlib.util.find_spec(library) is None:
        raise ConfigurationError(f"broker {name!r}: {scheme}:// needs {extra!r}: pip install 'troth[{extra}]'")
    adapter = getattr(importlib.import_module(f"troth.adapters.brokers.{module}"), kind)
    try:
        broker: Broker = adapter(name, url, **options)
    except TypeError as error:
        raise ConfigurationError(f"broker {name!r}: {error}") from None
    return broker


_MAKERS = {
    "memory": ("", "", "memory", "MemoryBroker"),
    "amqp": ("aio_pika", "rabbitmq", "rabbitmq", "RabbitmqBroker"),
    "amqps": ("aio_pika", "rabbitmq", "rabbitmq", "RabbitmqBroker"),
}
