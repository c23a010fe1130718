"""The server of a page, with a stand-in for what answers."""

import http.client
import json
import math
from types import SimpleNamespace

import pytest

from dse.errors import RunError
from dse.render.explore import explore, server
from dse.render.explore.server import Explorer


class Made:
    """Answers with what it is asked."""

    def page(self):
        return "a page, µ"

    def evaluate(self, settings, changed):
        if settings.get("macs") == "none":
            raise RunError("one\x1b\nand another")
        return {"settings": settings, "changed": changed, "value": math.nan if settings.get("macs") == -1 else 1.0}

    def design(self, number):
        return {"number": number}

    def design_file(self, settings):
        return f"file of {settings}"


@pytest.fixture(scope="module")
def explorer():
    with Explorer(Made()) as serving:
        yield serving


@pytest.fixture
def ask(explorer):
    """A function of a path below the token, or a whole one, a body and headers: status, headers and content."""
    port = explorer.address.split(":")[2].partition("/")[0]
    token = explorer.address.rstrip("/").rpartition("/")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)

    def asked(path, body=None, *, whole=False, kind="application/json", **headers):
        method = "GET" if body is None else "POST"
        sent = {name: value.format(port=port) for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = kind
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path if whole else f"/{token}/{path}", body, sent)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, answer.headers, content if method == "GET" else json.loads(content)

    yield asked
    connection.close()


def test_the_page_and_the_answers(ask):
    status, headers, content = ask("")
    assert (status, content.decode()) == (200, "a page, µ") and headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Length"] == str(len(content)) and headers["Server"] == "dse"
    assert (headers["Cache-Control"], headers["Referrer-Policy"], headers["X-Content-Type-Options"]) == (
        "no-store", "no-referrer", "nosniff",
    )  # fmt: skip
    design = {"macs": 8, "memory": "hbm3", "clock_ghz": 0.5, "node": None}
    for path, asked, wanted in (
        ("evaluate", {"design": design}, {"settings": design, "changed": "", "value": 1.0}),
        ("evaluate", {"design": {}, "changed": "macs"}, {"settings": {}, "changed": "macs", "value": 1.0}),
        ("evaluate", {"design": {}, "changed": None}, {"settings": {}, "changed": "", "value": 1.0}),
        ("design", {"id": "7"}, {"number": 7}),
        ("file", {"design": {"macs": 8}}, {"text": "file of {'macs': 8}"}),
    ):
        # All of them over one connection, which stays open.
        status, headers, content = ask(path, asked)
        assert (status, content, headers["Connection"]) == (200, wanted, None)
        assert headers["Content-Type"] == "application/json"


def test_what_is_refused_says_so_and_ends_the_connection(ask):
    for path, body, status in (
        ("evaluate", {"design": {"macs": [1]}}, 400),
        ("evaluate", {"design": 5}, 400),
        ("evaluate", {}, 400),
        ("evaluate", [1], 400),
        ("evaluate", b"no", 400),
        ("evaluate", b'{"design": {"a": NaN}}', 400),
        ("evaluate", b"[" * 60_000, 400),
        ("design", {}, 400),
        ("design", {"id": "x"}, 400),
        ("design", {"id": [1]}, 400),
        ("elsewhere", {}, 404),
        ("", {}, 404),
        # An answer that is no number of JSON.
        ("evaluate", {"design": {"macs": -1}}, 400),
    ):
        found, headers, content = ask(path, body)
        assert (found, headers["Connection"]) == (status, "close"), (path, body)
        assert content == {"issues": [http.client.responses[status]]}
    # What is wrong with a design is told line by line, nothing of it steering a terminal; the connection stays.
    status, headers, content = ask("evaluate", {"design": {"macs": "none"}})
    assert (status, content, headers["Connection"]) == (422, {"issues": ["one\\x1b", "and another"]}, None)
    assert ask("evaluate", b"{}", kind="text/plain")[0] == 400
    for length in ("", "x", "-1", "²"):
        assert ask("evaluate", b"", **{"Content-Length": length.encode("utf-8").decode("latin-1")})[0] == 400


def test_the_longest_question_that_is_read(ask):
    for extra, status in ((0, 200), (1, 413)):
        body = b'{"design": {}}'
        assert ask("evaluate", body + b" " * (65536 + extra - len(body)))[0] == status


def test_only_who_knows_the_address_is_answered(ask, explorer):
    assert ask("", Host="localhost:{port}")[0] == 200
    for origin, host, status in (
        ("http://127.0.0.1:{port}", "127.0.0.1:{port}", 200),
        ("http://localhost:{port}", "localhost:{port}", 200),
        ("http://localhost:{port}", "127.0.0.1:{port}", 403),
        ("https://127.0.0.1:{port}", "127.0.0.1:{port}", 403),
        ("null", "127.0.0.1:{port}", 403),
        ("http://127.0.0.1:{port}", "evil.example:{port}", 421),
    ):
        assert ask("evaluate", {"design": {}}, Origin=origin, Host=host)[0] == status
    token = explorer.address.rstrip("/").rpartition("/")[2]
    for path, status in ((f"/{token}", 200), (f"/{token}/more", 404), ("/", 404), (f"/{token[:-1]}/", 404)):
        assert ask(path, whole=True)[0] == status
    assert ask("/evaluate", {"design": {}}, whole=True)[0] == 404 == ask(f"/{token[:-1]}/evaluate", {}, whole=True)[0]
    # Enough to guess at for ever, and another for every server.
    assert len(token) >= 32
    with Explorer(Made()) as other:
        assert token not in other.address


def test_a_run_is_served_at_any_port_that_is_free(monkeypatch):
    run = SimpleNamespace(require_builtin=lambda what: (run, what))
    monkeypatch.setattr("dse.render.explore.open_run", lambda _: run)
    monkeypatch.setattr(
        "dse.render.explore.answers.Answers", lambda asked: Made() if asked == (run, "explore") else None
    )
    for serve in (lambda: explore("latest"), lambda: Explorer(Made())):
        with serve() as serving:
            assert int(serving.address.split(":")[2].partition("/")[0]) > 1023


def test_a_server_ends_and_its_port_can_be_taken_once():
    serving = Explorer(Made())
    port = int(serving.address.split(":")[2].partition("/")[0])
    assert repr(serving) == f"Explorer('{serving.address}')" and f'src="{serving.address}"' in serving._repr_html_()
    with pytest.raises(RunError, match=f"--port {port}: cannot be listened on"):
        Explorer(Made(), port=port)
    # Neither it nor a question that is never finished keeps the program from ending.
    assert serving._thread.daemon and server._Server.daemon_threads and 0 < server._Handler.timeout < 600
    # Small answers do not wait to be sent.
    assert server._Handler.disable_nagle_algorithm
    serving.close()
    serving.wait()
    assert not serving._thread.is_alive()
    with Explorer(Made(), port=port) as again:
        assert f":{port}/" in again.address
