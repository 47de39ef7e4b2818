"""A server on loopback for tests: what it answers is up to `answer`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer:
    """Answers GET and HEAD in threads until it is stopped.

    Parameters
    ----------
    answer : callable
        ``answer(request, body=bool)``; `body` is False for HEAD.
    """

    def __init__(self, answer: Callable[..., None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_HEAD(self) -> None:
                """HEAD."""
                answer(self, body=False)

            def do_GET(self) -> None:
                """GET."""
                answer(self, body=True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()
