"""The server of `dse explore`: the page and its answers, for programs of this machine that know the address.

It listens on 127.0.0.1 alone. The address holds a token that is drawn anew for every server; without it, under another
host name (which a hostile page could point here) or from another origin, nothing is answered.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from dse.errors import DseError, RunError
from dse.plain import printable
from dse.render.explore.answers import Answers

HOST = "127.0.0.1"

MAX_BODY_BYTES = 1 << 16
"""Longest question that is read."""

TOKEN_BYTES = 24
"""Random bytes of a token."""

IDLE_S = 60.0
"""Seconds after which a connection that says nothing is closed."""


class Explorer:
    """A run that is served until `close`; a notebook shows it as its page.

    Args:
        answers: what answers.
        port: 0 for any that is free.

    Attributes:
        address: of the page, token included.

    Raises:
        RunError: the port is taken.
    """

    def __init__(self, answers: Answers, *, port: int = 0) -> None:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            self._server = _Server(port, token, answers)
        except OSError as error:
            raise RunError(f"--port {port}: cannot be listened on: {error.strerror or error}") from error
        self.address = f"http://{HOST}:{self._server.server_port}/{token}/"
        self._thread = Thread(target=self._server.serve_forever, name="dse explore", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Return when the server is closed."""
        self._thread.join()

    def __enter__(self) -> Explorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Explorer({self.address!r})"

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{escape(self.address)}" title="what if" style="width:100%;height:900px;border:0"></iframe>'
        )


class _Server(ThreadingHTTPServer):
    """What the handlers of one server share."""

    daemon_threads = True

    def __init__(self, port: int, token: str, answers: Answers) -> None:
        super().__init__((HOST, port), _Handler)
        self.token, self.answers = token, answers
        self.names = tuple(f"{host}:{self.server_port}" for host in (HOST, "localhost"))
        self.page = answers.page().encode("utf-8")


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send the page."""
        if self._path() == "":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Answer a question."""
        path = self._path()
        if path is None:
            return
        questions: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "evaluate": lambda asked: self.server.answers.evaluate(_settings(asked), str(asked.get("changed") or "")),
            "design": lambda asked: self.server.answers.design(int(asked["id"])),
            "file": lambda asked: {"text": self.server.answers.design_file(_settings(asked))},
        }
        asked = self._asked()
        if asked is None:
            return
        if path not in questions:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            self._answer(HTTPStatus.OK, questions[path](asked))
        except DseError as error:
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"issues": printable(str(error)).splitlines()})
        except (KeyError, TypeError, ValueError):
            self._refuse(HTTPStatus.BAD_REQUEST)

    def _path(self) -> str | None:
        """Return what is asked for below the token, None where the question was refused."""
        first, _, rest = self.path.lstrip("/").partition("/")
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.names:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif origin is not None and origin.removeprefix("http://") != self.headers["Host"]:
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not hmac.compare_digest(first.encode(), self.server.token.encode()) or (self.command == "GET" and rest):
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            return rest
        return None

    def _asked(self) -> Mapping[str, Any] | None:
        """Return the mapping that a question holds, None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json" or not length.isdecimal():
            self._refuse(HTTPStatus.BAD_REQUEST)
        elif int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            try:
                asked = json.loads(self.rfile.read(int(length)), parse_constant=_refused)
            except (ValueError, RecursionError):
                asked = None
            if isinstance(asked, Mapping):
                return asked
            self._refuse(HTTPStatus.BAD_REQUEST)
        return None

    def _refuse(self, status: HTTPStatus) -> None:
        """Say no, and read nothing more of this connection."""
        self.close_connection = True
        self._answer(status, {"issues": [status.phrase]})

    def _answer(self, status: HTTPStatus, content: object) -> None:
        self._send(status, json.dumps(content, allow_nan=False).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **({"Connection": "close"} if self.close_connection else {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return what the server calls itself."""
        return "dse"

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: the address holds the token."""


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not a number of JSON")


def _settings(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the design of a question: names to numbers, text or None.

    Raises:
        ValueError: it is something else.
    """
    design = asked.get("design")
    if not isinstance(design, Mapping) or not all(
        value is None or isinstance(value, str | int | float) for value in design.values()
    ):
        raise ValueError("a design is a mapping of parameters to values")
    return design
