"""Addresses of storages: of one kind or of none, and what was meant by one that is none."""

from __future__ import annotations

import pytest

from dse.sweep.storage_url import Kind, check_storage_url, given_storage, kind_of, plain_url


@pytest.mark.parametrize(
    ("url", "kind", "plain"),
    [
        ("journal:study", Kind.JOURNAL, "study"), ("journal:a", Kind.JOURNAL, "a"), ("journal:", None, ""),
        ("a/study.log", Kind.JOURNAL, "a/study.log"), ("study.txt", None, None),
        ("sqlite:///a.db", Kind.SQLITE, "a.db"),
        ("sqlite:////a.db", Kind.SQLITE, "/a.db"), ("sqlite://a.db", None, None), ("sqlite:///", None, None),
        ("sqlite+pysqlite:///a", Kind.SQLITE, "a"), ("sqlite://", None, None),
        ("postgresql://u@h/d", Kind.SERVER, None),
        ("postgresql+psycopg://u@h/d", Kind.SERVER, None), ("mysql://h/d", Kind.SERVER, None),
        ("mariadb://h", Kind.SERVER, None),
        ("mssql+pyodbc://h", Kind.SERVER, None), ("oracle://h", Kind.SERVER, None), ("redis://h", None, None),
        ("postgres://u@h/d", None, None), ("env:NAME", Kind.ENVIRONMENT, None), ("env:_N9", Kind.ENVIRONMENT, None),
        ("env:9N", None, None), ("env:", None, None), ("env:A B", None, None), ("", None, None),
    ],
)  # fmt: skip
def test_an_address_is_of_one_kind_or_of_none(url: str, kind: Kind | None, plain: str | None) -> None:
    assert kind_of(url) is kind
    assert plain is None or plain_url(url) == plain
    assert (given_storage(url) is None) == (kind is not None)


@pytest.mark.parametrize(
    ("url", "perhaps"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"), ("sqlite:a.db", "sqlite:///a.db"),
        ("sqlite://a.db", "sqlite:///a.db"),
        ("a.db", "sqlite:///a.db"), ("a.sqlite", "sqlite:///a.sqlite"), ("a.sqlite3", "sqlite:///a.sqlite3"),
        ("a.txt", "journal:a.txt"), ("study", ""), ("redis://h/a.db", ""), ("redis://h/a.txt", ""), ("journal:", ""),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_answered_with_one(url: str, perhaps: str) -> None:
    found = given_storage(url)
    assert found is not None and found.perhaps == perhaps
    assert str(found.place) == f"--storage {url}" and found.must_be.startswith("journal:FILE, sqlite:///FILE")
    assert check_storage_url("env:OK") == "env:OK"
