"""Who may ask: this machine's browser that was given the token, and no page of another site through it.

Against DNS rebinding the Host must be a loopback name with our port; against forgery the Origin and
Sec-Fetch-Site must be ours and a change must carry JSON; against other programs' guesses there is the token, in
an HttpOnly, SameSite=Strict cookie after the first visit. (OWASP cheat sheet on cross-site request forgery.)
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1 << 20
SAFE_METHODS = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def new_token() -> str:
    """A token that cannot be guessed: 32 random bytes."""
    return secrets.token_urlsafe(32)


class Guard:
    """Lets through what this person's browser asks, and answers everything else with 400, 403 or 413.

    Parameters
    ----------
    app : ASGI application
    token : str
    port : int
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self.cookie = f"headstart-{port}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif self._knows_address(scope) and scope["method"] == "GET":
            await self._welcome(scope, send)
        elif not self._knows_cookie(headers):
            await _answer(send, 403, "open the address that headstart printed, with its token")
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refusal(self, method: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return 403, "this page is served under 127.0.0.1 alone"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return 403, "asked by a page of another site"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "asked by a page of another site"
        if method in SAFE_METHODS:
            return None
        if origin is None:
            return 403, "a change must say which page asks for it"
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return 400, "a change must be JSON"
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 400, "a change must say its length"
        return (413, f"more than {MAX_BODY_BYTES} bytes") if int(length) > MAX_BODY_BYTES else None

    def _knows_address(self, scope: Message) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return any(_same(each, self.token) for each in given)

    def _knows_cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookies and _same(cookies[self.cookie].value, self.token)

    async def _welcome(self, scope: Message, send: Send) -> None:
        """Take the token out of the address bar and into a cookie."""
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        more = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await _answer(send, 303, "", more)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def _answer(send: Send, status: int, text: str, more: list[tuple[bytes, bytes]] | None = None) -> None:
    body = text.encode()
    headers = [
        *HEADERS,
        (b"cache-control", b"no-store"),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *(more or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", []))
            named = {name.lower() for name, _ in own}
            if b"cache-control" not in named:
                own.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*own, *HEADERS]}
        await send(message)

    return sent
