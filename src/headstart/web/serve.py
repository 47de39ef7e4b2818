"""A page served on 127.0.0.1 until it is finished or stopped with Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from headstart.base.errors import UsageError
from headstart.base.optional import require
from headstart.web.guard import App, Guard, new_token

LOOPBACK = "127.0.0.1"


class LocalServer:
    """A server of one page; its address holds the token.

    Parameters
    ----------
    port : int
        0 takes any free one.

    Raises
    ------
    MissingPackage
    UsageError
        The port is taken.

    Attributes
    ----------
    address : str
    """

    def __init__(self, port: int = 0) -> None:
        require("fastapi", extra="web", purpose="a local page")
        self._uvicorn: Any = require("uvicorn", extra="web", purpose="a local page")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, port))
        except OSError as error:
            self._socket.close()
            raise UsageError(
                f"port: {port} cannot be taken ({error.strerror}); give another, or 0 for any free one"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self.token = new_token()
        self.address = f"http://{LOOPBACK}:{self.port}/?token={self.token}"
        self._server: Any = None

    def run(self, app: App, ready: Callable[[], None]) -> None:
        """Serve `app`, guarded, until `stop` or Ctrl-C; `ready` is called before the first request."""
        config = self._uvicorn.Config(
            Guard(app, self.token, self.port), log_level="critical", access_log=False, server_header=False,
            ws="none", proxy_headers=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = self._uvicorn.Server(config)
        self._socket.listen(128)
        ready()
        with suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run` once the answers under way are given."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()
