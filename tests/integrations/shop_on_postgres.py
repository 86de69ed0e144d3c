"""The example's settings with PostgreSQL, and connections that are kept: ``SHOP_POSTGRES`` is a URI."""

import os

from project.settings import *  # noqa: F403
from psycopg.conninfo import conninfo_to_dict

_parts = conninfo_to_dict(os.environ["SHOP_POSTGRES"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts["dbname"],
        "USER": _parts["user"],
        "HOST": _parts["host"],
        "PORT": _parts["port"],
        "CONN_MAX_AGE": 60,
        "TEST": {"NAME": "test_" + os.environ["SHOP_TEST"]},
    }
}
