"""The process that serves one function: what it loads, and line for line what it answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dse.user_model import server

MODULES = {
    "good.py": "_hidden = len\nLIMIT = 3\nclass Deep:\n    @staticmethod\n    def f(x):\n        return 2 * x\n"
    "def f(x):\n    print('not an answer')\n    return {'a': x['n'] + 1}\n"
    "def many(rows):\n    return ({'a': one['n']} for one in rows)\n"
    "def odd(x):\n    from fractions import Fraction\n    return {'a': Fraction(3, 2)} if x['n'] else 1 / x['n']\n",
    "needs.py": "import nothing_like_it\n",
    "broken.py": "def f(:\n",
    "raises.py": "raise ValueError('cold')\n",
    "empty.py": "LIMIT = 3\n",
    "pack/__init__.py": "",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield str(tmp_path)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_function_is_loaded_or_it_is_said_why_there_is_none(folder):
    before = [*sys.path]
    known = server.load(folder, "good:f")
    assert callable(known) and known({"n": 1}) == {"a": 2} and sys.path == [folder, str(Path.cwd()), *before]
    deep = server.load(folder, "good:Deep.f")
    assert callable(deep) and deep(4) == 8
    for target, told in (
        ("absent:f", f"there is no module absent in {folder} or on Python's path"),
        ("pack.absent:f", f"there is no module pack.absent in {folder} or on Python's path"),
        ("absent.inner:f", f"there is no module absent in {folder} or on Python's path"),
        ("needs:f", "the module needs cannot be imported: No module named 'nothing_like_it'"),
        ("raises:f", "the module raises cannot be imported: ValueError: cold"),
        ("good:g", "good has no g; it has Deep, f, many, odd"),
        ("good:Deep.g", "good has no g; it has f"),
        ("empty:f", "empty has no f; it has no function"),
        ("good:LIMIT", "good:LIMIT is not a function but int"),
    ):
        assert server.load(folder, target) == told
    assert str(server.load(folder, "broken:f")).startswith("the module broken cannot be imported: SyntaxError: ")


@pytest.mark.parametrize(
    ("target", "how", "asked", "answers"),
    [
        ("good:f", "one", [[{"n": 1}], [{"n": 5}]],
         [{"ready": True}, {"answers": [{"a": 2}]}, {"answers": [{"a": 6}]}]),
        ("good:many", "many", [[{"n": 1}, {"n": 2}]], [{"ready": True}, {"answers": [{"a": 1}, {"a": 2}]}]),
        ("good:odd", "one", [[{"n": 0}], [{"n": 1}]],
         [{"ready": True}, {"failed": "ZeroDivisionError: division by zero"}, {"answers": [{"a": 1.5}]}]),
        ("good:g", "one", [[{"n": 0}]], [{"issue": "good has no g; it has Deep, f, many, odd"}]),
    ],
)  # fmt: skip
def test_a_line_is_answered_by_a_line_and_what_is_printed_stays_apart(target, how, asked, answers, folder):
    done = subprocess.run(
        [sys.executable, server.__file__, folder, target, how],
        input="".join(json.dumps(rows) + "\n" for rows in asked), capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == answers
    assert done.stderr.count("not an answer") == (2 if target == "good:f" else 0)
