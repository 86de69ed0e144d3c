"""Who may know what: each driver library is one adapter's, and the front door is the users'."""

from __future__ import annotations

from fnmatch import fnmatch

from tests.house.source import complain, modules

DRIVERS = {
    "sqlite3": (
        "adapters/stores/sqlite*",
        "adapters/databases/sqlite*",
        "adapters/databases/sqlalchemy_kinds.py",  # it tells sqlite3 itself when a transaction begins
        "testing/*",
    ),
    "psycopg": ("adapters/stores/postgres*", "adapters/databases/p*", "testing/*"),
    "psycopg_pool": ("adapters/stores/postgres*", "adapters/databases/p*", "testing/*"),
    "asyncpg": ("adapters/databases/asyncpg*", "testing/*"),
    "pymysql": ("adapters/databases/pymysql*", "testing/*"),
    "asyncmy": ("adapters/databases/asyncmy*", "testing/*"),
    "sqlalchemy": ("adapters/databases/sqlalchemy*", "integrations/*", "testing/*"),
    "django": ("adapters/databases/django*", "integrations/django/*"),
    "asgiref": ("integrations/django/*",),
    "celery": ("integrations/celery*",),
    "redis": ("adapters/locks/redis*", "adapters/brokers/redis*", "testing/*"),
    "aio_pika": ("adapters/brokers/rabbitmq*", "testing/*"),
    "aiormq": ("adapters/brokers/rabbitmq*", "testing/*"),
    "nats": ("adapters/brokers/nats*", "testing/*"),
    "pydantic": ("wire/*",),
    "aiohttp": ("adapters/callers/*",),
    "yarl": ("adapters/callers/*",),
    "opentelemetry": ("observe/*",),
    "starlette": ("integrations/starlette*",),
    "flask": ("integrations/flask*",),
    "werkzeug": ("integrations/flask*",),
    "uvloop": ("engine/*", "app/*", "cli/*"),
    "click": ("cli/*",),
    "rich": ("cli/*",),
    "hypothesis": ("testing/*",),
    "pytest": ("testing/*",),
    "fcntl": ("adapters/*",),
}
"""Library -> the files below src/troth that may import it."""

FRONT_DOOR = ("cli/*", "integrations/*", "testing/*", "__main__.py")
"""Who may import `troth` itself, the names users type; everybody else imports the room where a name lives."""


def inside(place: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path below src/troth is one of those named."""
    return any(fnmatch(place.removeprefix("src/troth/"), pattern) for pattern in patterns)


def test_each_driver_library_is_known_to_its_adapter_only() -> None:
    """A database's library can be replaced by changing one file."""
    found = [
        f"{module.at(node)}: {name}"
        for module in modules("src")
        for node, name in module.imports()
        if (root := name.split(".", 1)[0]) in DRIVERS and not inside(module.place, DRIVERS[root])
    ]
    complain(found, "a library is imported only by the adapter (or room) that is for it")


def test_no_room_enters_by_the_front_door() -> None:
    """`import troth` is for users: inside, it would make a circle."""
    found = [
        f"{module.at(node)}: import troth"
        for module in modules("src")
        for node, name in module.imports()
        if name == "troth" and not inside(module.place, FRONT_DOOR)
    ]
    complain(found, "inside troth, import the module where the name lives")
