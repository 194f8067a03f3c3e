"""A clip with its page, served as the command serves it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from tests.helpers.clips import Clip, write
from vdenoise.cli.switches import with_strengths
from vdenoise.cli.tune import session_of, tune
from vdenoise.review.tune.server import Server, listening
from vdenoise.review.tune.session import Session
from vdenoise.ui import Reporter

FAST = ("--speed", "veryfast", "--device", "cpu", "--progress", "none", "--sigma", "9")


def session(source: Path, *words: str) -> Session:
    """What the command line of ``tune`` makes of a clip."""
    typed = with_strengths([str(source), *FAST, *words])
    context = tune.make_context("vdenoise tune", typed)
    with context, Reporter("none") as reporter:
        return session_of(context, reporter)


@dataclass
class Asked:
    """A server and how to ask it."""

    server: Server

    def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of an answer; header names are said with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        said = {key.replace("_", "-"): value for key, value in headers.items()}
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        try:
            connection.request(method, path, text, said)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def json(self, question: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Ask as the page does."""
        origin = f"http://127.0.0.1:{self.server.port}"
        status, text, _ = self(
            "POST",
            f"/{self.server.token}/{question}",
            body,
            Origin=origin,
            Content_Type="application/json",
        )
        found: dict[str, Any] = json.loads(text)
        return status, found


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip("in.mkv", codec="ffv1", size=(96, 64), frames=6)
    return write(clip, tmp_path_factory.mktemp("tune"))


@pytest.fixture(scope="session")
def server(source: Path) -> Iterator[Server]:
    def fault(problem: Exception) -> None:
        raise problem

    output = source.with_name("out.mkv")
    made = session(source, "-o", str(output), "--temporal-radius", "1")
    with listening(0) as door, Server(made, door, fault) as found:
        yield found


@pytest.fixture
def asked(server: Server) -> Asked:
    return Asked(server)


@pytest.fixture(autouse=True)
def no_click_context() -> Iterator[None]:
    yield
    assert click.get_current_context(silent=True) is None
