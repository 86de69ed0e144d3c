"""Settings of a small shop."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
HOME = Path(os.environ.get("SHOP_HOME", BASE_DIR))
"""Where the database and the log are."""

SECRET_KEY = "an example has no secrets"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
USE_TZ = True
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["troth.integrations.django", "shop"]
MIDDLEWARE = ["troth.integrations.django.middleware.Problems"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HOME / "shop.db", "OPTIONS": {"timeout": 20}},
}
TROTH = {"store": f"sqlite:///{HOME / 'troth-log.db'}"}
