"""Who may speak to the page's server: the page itself, on this machine, and nobody else.

Other programs of the machine do not know the token. Other pages in the same browser do not know it
either, may not read answers, and are told apart by their ``Origin``; one that has its own name
point at this machine (DNS rebinding) is told apart by its ``Host``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 << 10  # of a request
_NAMES = ("127.0.0.1", "localhost")
_OF_A_PERSON = ("none", "same-origin")  # Sec-Fetch-Site: typed or clicked, or the page's own
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Answers 403 to all but the page, before anything else looks at a request.

    Args:
        app: what answers the page; it sees paths without the token.
        token: first part of every path.
        port: that the server listens on.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1")
                   for key, value in scope["headers"]}  # fmt: skip
        refused = self._refused(scope["method"], scope["path"], headers)
        if refused:
            await PlainTextResponse(refused, 403, headers=_HEADERS)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        inner = scope["path"].removeprefix(f"/{self._token}")
        await self._app({**scope, "path": inner, "raw_path": inner.encode()}, receive, answer)

    def _refused(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Why a request is not answered; empty where it is."""
        if headers.get("host") not in self._hosts:
            return "This server answers to 127.0.0.1 only."
        told = path.split("/")[1] if path.startswith("/") else ""
        if not secrets.compare_digest(told.encode(), self._token.encode()):
            return "The address lacks the right token: open the one that vdenoise tune printed."
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return "Another page cannot ask this server."
        if headers.get("sec-fetch-site", "none") not in _OF_A_PERSON:
            return "Another page cannot ask this server."
        if method == "GET":
            return ""
        if origin is None:
            return "Only the page itself may ask this."
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return "Only JSON is taken."
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return "This is more than the page ever asks."
        return ""
