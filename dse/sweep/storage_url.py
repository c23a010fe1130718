"""Addresses of storages in which Optuna keeps studies.

    journal:study.log  or any path that ends in .log    a journal file
    sqlite:///study.db                                  SQLite
    postgresql+psycopg://user@host/database             PostgreSQL; another database by its SQLAlchemy address
    env:NAME                                            whatever stands in that environment variable

Without a storage a study lives in memory. An address is kept with the run, so it must not hold a password.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePath

from pydantic_core import PydanticCustomError

from dse.errors import Issue, Place
from dse.plain import redacted
from dse.sweep.fields import issue
from dse.sweep.hints import quoted

FROM_ENVIRONMENT = "env:"
JOURNAL_PREFIX = "journal:"

_MUST_BE = "journal:FILE, sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE or env:VARIABLE"


class Kind(Enum):
    """What keeps a study."""

    JOURNAL = "a journal file"
    SQLITE = "SQLite"
    SERVER = "a database server"
    ENVIRONMENT = "named by an environment variable"


def kind_of(url: str) -> Kind | None:
    """Return what an address stands for, None where it is none."""
    if url.startswith(FROM_ENVIRONMENT):
        return Kind.ENVIRONMENT if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", url[len(FROM_ENVIRONMENT) :]) else None
    if url.startswith(JOURNAL_PREFIX):
        return Kind.JOURNAL if len(url) > len(JOURNAL_PREFIX) else None
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Kind.JOURNAL if url.endswith(".log") else None
    if scheme.split("+")[0] == "sqlite":
        return Kind.SQLITE if rest.startswith("/") and len(rest) > 1 else None
    return Kind.SERVER if scheme.split("+")[0] in ("postgresql", "mysql", "mariadb", "mssql", "oracle") else None


def plain_url(url: str) -> str:
    """Return the path of the file of a journal or of SQLite."""
    if url.startswith(JOURNAL_PREFIX):
        return url.removeprefix(JOURNAL_PREFIX)
    return url.partition("://")[2].removeprefix("/") if "://" in url else url


def check_storage_url(value: object) -> str:
    """Return an address that is one (a validator of the sweep)."""
    if not isinstance(value, str):
        raise issue(quoted(value), _MUST_BE)
    if kind_of(value) is None:
        raise issue(quoted(redacted(value)), _MUST_BE, redacted(_meant(value)))
    if redacted(value) != value:
        what = "the address holds a password, which would be kept with the run"
        raise issue(what, perhaps="leave it to PGPASSWORD or ~/.pgpass, or write env:DSE_STORAGE and set that variable")
    return value


def _meant(value: str) -> str:
    """Return the address that was probably meant."""
    if value.startswith("postgres://"):
        return "postgresql+psycopg://" + value.removeprefix("postgres://")
    if value.startswith("sqlite:"):
        return "sqlite:///" + value.removeprefix("sqlite:").lstrip("/")
    if "://" not in value and PurePath(value).suffix in (".db", ".sqlite", ".sqlite3"):
        return f"sqlite:///{value}"
    return f"journal:{value}" if "://" not in value and PurePath(value).suffix else ""


def given_storage(url: str) -> Issue | None:
    """Return what is wrong with an address on the command line, None where nothing is."""
    try:
        check_storage_url(url)
    except PydanticCustomError as error:
        said = error.context or {}
        return Issue(Place(f"--storage {redacted(url)}"), "", said["what"], said["must_be"], said["perhaps"])
    return None
