"""A connection to PostgreSQL: the password comes from the environment, and no error shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headstart.base.errors import DataError
from headstart.base.optional import require

psycopg: Any = require("psycopg", extra="stores", purpose="an index in PostgreSQL")

PASSWORDS = ("HEADSTART_STORE_PASSWORD", "PGPASSWORD")
SECONDS = 10
MOST_TOLD = 400


def connect(place: str, address: str) -> Any:
    """A connection that commits each statement; PGPASSWORD and ~/.pgpass are read by the library itself.

    Raises
    ------
    DataError
        The database keeps text in another encoding than UTF-8.
    """
    own = os.environ.get(PASSWORDS[0])
    secret = {"password": own} if own else {}
    made = psycopg.connect(
        place, autocommit=True, connect_timeout=SECONDS, application_name="headstart", **secret
    )
    encoding = made.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        made.close()
        raise DataError(f"{address}: a database of encoding {encoding}; make one of encoding UTF8")
    return made


@contextmanager
def telling(address: str) -> Iterator[None]:
    """Errors of the database in one line, without the passwords.

    Raises
    ------
    DataError
    """
    try:
        yield
    except psycopg.Error as error:
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in filter(None, map(os.environ.get, PASSWORDS)):
            text = text.replace(secret, "***")
        raise DataError(f"{address}: {text[:MOST_TOLD]}{_advice(error)}") from None


def _advice(error: Exception) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege | psycopg.errors.FeatureNotSupported):
        return " (pgvector is needed: an administrator runs CREATE EXTENSION vector once)"
    if isinstance(error, psycopg.OperationalError):
        return f" (the password is read from {PASSWORDS[0]} or {PASSWORDS[1]} in the environment)"
    return ""
