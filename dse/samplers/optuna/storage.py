"""Where a study is kept: a journal file, SQLite, PostgreSQL; and how many trials get there at once.

Optuna adds trials to a database one by one, each in a transaction that counts all earlier ones: 30 to 60 ms a trial.
`append` writes the same rows of the same tables for a whole batch in one transaction, some hundred times as fast.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dse.errors import MissingPackageError, RunError
from dse.plain import redacted
from dse.sweep.storage_url import FROM_ENVIRONMENT, Kind, kind_of, plain_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TABLES_VERSION = 12
"""Version of the tables in which Optuna keeps studies that `append` writes."""

BUSY_S = 60
"""How long to wait for another process that writes to the same SQLite file."""

ATTEMPTS = 4
"""Times that a database is opened before it is given up."""

_DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "pymysql": "pymysql", "MySQLdb": "mysqlclient"}


def resolved_url(url: str) -> str:
    """Return an address; that of an environment variable where it is ``env:NAME``.

    Raises:
        RunError: the variable is not set, or does not hold an address.
    """
    if not url.startswith(FROM_ENVIRONMENT):
        return url
    name = url.removeprefix(FROM_ENVIRONMENT)
    result = os.environ.get(name, "")
    if not result:
        raise RunError(f"storage {url}: the environment variable {name} is not set")
    if kind_of(result) is None:
        raise RunError(f"storage {url}: {name} holds no address of a storage, like postgresql+psycopg://host/database")
    return result


def open_storage(url: str) -> BaseStorage:
    """Return a storage of Optuna's; a file that is not there is made.

    Args:
        url: the address (see `dse.sweep.storage_url`).

    Raises:
        RunError: it cannot be opened.
        MissingPackageError: the driver of its database is not installed.
    """
    address = resolved_url(url)
    with _said(url):
        if kind_of(address) is Kind.JOURNAL:
            return _journal(Path(plain_url(address)))
        return _database(address)


def _journal(file: Path) -> BaseStorage:
    from optuna.storages import JournalStorage

    if not file.parent.is_dir():
        raise RunError(f"storage {file}: there is no folder {file.parent}")
    return JournalStorage(_gathering_backend()(str(file)))


@functools.cache
def _gathering_backend() -> Any:
    """Return the class of a journal file that can write many lines at once, locked and flushed to the disk once."""
    from optuna.storages.journal import JournalFileBackend

    class GatheringBackend(JournalFileBackend):
        """A journal file."""

        held: list[dict[str, Any]] | None = None

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            """Write lines, or hold them until `gathered` ends."""
            if self.held is None:
                super().append_logs(logs)
            else:
                self.held += logs

        @contextmanager
        def gathered(self) -> Iterator[None]:
            """Hold what is written inside, and write it at the end."""
            self.held = []
            try:
                yield
                held, self.held = self.held, None
                # No lines would be written as an empty one, which nobody can read.
                if held:
                    super().append_logs(held)
            finally:
                self.held = None

    return GatheringBackend


def _database(address: str) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import NullPool
    from sqlalchemy.exc import DatabaseError

    # Batches are rare: a connection is opened for each, and none is left open.
    options: dict[str, Any] = {"poolclass": NullPool}
    if kind_of(address) is Kind.SQLITE:
        folder = Path(plain_url(address)).parent
        if not folder.is_dir():
            raise RunError(f"storage {redacted(address)}: there is no folder {folder}")
        options["connect_args"] = {"timeout": BUSY_S}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return RDBStorage(address, engine_kwargs=options)
        except DatabaseError:
            # Processes that begin at once may both find no tables, and one of them comes too late to make them.
            if attempt == ATTEMPTS:
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


@contextmanager
def _said(url: str) -> Iterator[None]:
    """Turn what Optuna and SQLAlchemy raise into one line without the password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    url = redacted(url)
    try:
        yield
    except (ImportError, SQLAlchemyError, StorageInternalError, OSError, ValueError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name is not None:
            raise MissingPackageError(_DRIVERS.get(cause.name, cause.name), f"the storage {url}") from None
        lines = [redacted(line.strip()) for line in str(cause).splitlines() if line.strip()]
        raise RunError(f"storage {url}: cannot be used: {lines[0] if lines else type(cause).__name__}") from None


def append(study: Study, storage: BaseStorage, trials: Sequence[FrozenTrial]) -> None:
    """Add trials to a study, all or none of them where it lies in a database.

    Args:
        study: the study.
        storage: where it lies, as `open_storage` returned it.
        trials: finished trials.

    Raises:
        RunError: the storage cannot be written.
    """
    from optuna.storages import RDBStorage

    if not trials:
        return
    with _said(f"of the study {study.study_name}"):
        if isinstance(storage, RDBStorage):
            _insert(storage.engine, study._study_id, trials)
        else:
            backend: Any = cast("Any", storage)._backend
            # Optuna looks up which trial it made last: there must have been one.
            study.add_trial(trials[0])
            with backend.gathered():
                study.add_trials(trials[1:])


def _insert(engine: Any, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    import sqlalchemy

    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    table = tables.tables
    with engine.begin() as connection:
        version = connection.scalar(sqlalchemy.select(table["version_info"].c.schema_version))
        if version != TABLES_VERSION:
            raise RunError(f"this Optuna keeps studies in tables of version {version}, not {TABLES_VERSION}")
        # Writing the row of the study first keeps other processes from numbering trials until this one is done.
        studies, rows = table["studies"], table["trials"]
        this = studies.c.study_id == study_id
        connection.execute(studies.update().where(this).values(study_name=studies.c.study_name))
        counted = sqlalchemy.select(sqlalchemy.func.count()).where(rows.c.study_id == study_id)
        first = int(connection.scalar(counted) or 0)
        connection.execute(rows.insert(), [_trial_row(study_id, first + k, one) for k, one in enumerate(trials)])
        numbered = sqlalchemy.select(rows.c.number, rows.c.trial_id).where(
            rows.c.study_id == study_id, rows.c.number >= first
        )
        ids = {number: trial_id for number, trial_id in connection.execute(numbered)}
        for name, of_one in _DETAILS:
            details = [{"trial_id": ids[first + k], **row} for k, one in enumerate(trials) for row in of_one(one)]
            if details:
                connection.execute(table[name].insert(), details)


def _trial_row(study_id: int, number: int, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "number": number,
        "state": trial.state.name,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _params(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    from optuna.distributions import distribution_to_json

    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        inside = distribution.to_internal_repr(value)
        yield {"param_name": name, "param_value": inside, "distribution_json": distribution_to_json(distribution)}


def _values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for place, value in enumerate(trial.values or ()):
        yield {"objective": place, "value": value, "value_type": "FINITE"}


def _attributes(attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in attributes.items():
        yield {"key": key, "value_json": json.dumps(value)}


def _user_attributes(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    return _attributes(trial.user_attrs)


def _system_attributes(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    return _attributes(trial.system_attrs)


_DETAILS = (
    ("trial_params", _params),
    ("trial_values", _values),
    ("trial_user_attributes", _user_attributes),
    ("trial_system_attributes", _system_attributes),
)
"""What stands of a trial in which table; values are finite."""
