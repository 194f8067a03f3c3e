"""The page's server: on this machine alone, as long as the command runs."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from vdenoise.errors import UsageError
from vdenoise.review.tune.answers import application
from vdenoise.review.tune.guard import Guard
from vdenoise.review.tune.rendering import Rendering
from vdenoise.review.tune.session import Session

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.01


def listening(port: int) -> socket.socket:
    """A socket on this machine that nobody else can reach.

    Args:
        port: its number; 0 takes a free one.

    Raises:
        UsageError: it is taken, or the system forbids it.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.bind((LOOPBACK, port))
        made.listen()
    except OSError as error:
        made.close()
        raise UsageError(
            f"The page cannot be served on port {port}: {error.strerror}.",
            "Leave --port away for one that is free, or end the program that has it.",
            number=204,
        ) from error
    return made


class Server:
    """Serves a page while it is entered; afterwards nothing of it is left.

    Args:
        session: the clip.
        door: from `listening`; it is closed at the end.
        fault: is told of an error that is a bug of ours.
    """

    def __init__(
        self, session: Session, door: socket.socket, fault: Callable[[Exception], None]
    ) -> None:
        self.session, self.rendering, self._door = session, Rendering(), door
        self.port: int = door.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        app = Guard(application(session, self.rendering, fault), self.token, self.port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [door]}, name="vdenoise-page"
        )

    @property
    def address(self) -> str:
        """Address of the page, with its token."""
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(_POLL_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.session.close()
        self.rendering.stop()
        self._server.should_exit = True
        self._thread.join()
        self._door.close()
