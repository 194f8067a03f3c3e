"""What each question of the page is answered with: JSON, errors as one sentence and a hint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from vdenoise.errors import VdenoiseError, fault_of
from vdenoise.review.report.pictures import png_uri, webp_uri
from vdenoise.review.tune.newest import Superseded
from vdenoise.review.tune.page import tune_page
from vdenoise.review.tune.rendering import Rendering
from vdenoise.review.tune.requests import (
    AskLook,
    AskNothing,
    AskPlace,
    AskSave,
    AskSettings,
    Question,
)
from vdenoise.review.tune.session import Session

Q = TypeVar("Q", bound=Question)
Answer = dict[str, Any]


def application(
    session: Session, rendering: Rendering, fault: Callable[[Exception], None]
) -> Starlette:
    """All that the page can ask, without who may.

    Args:
        session: the clip.
        rendering: runs that the page starts.
        fault: is told of an error that is a bug of ours.
    """

    def look(asked: AskLook) -> Answer:
        box = asked.left, asked.top, asked.width, asked.height
        try:
            found = session.look(asked.settings, asked.frame, box)
        except Superseded:
            return {"superseded": True}
        height, width = found.source.shape[:2]
        return {
            "source": png_uri(found.source),
            "result": png_uri(found.result),
            "noise": png_uri(found.noise),
            "width": width,
            "height": height,
            "box": found.box,
            "region": found.region,
            "seconds": round(found.seconds, 2),
        }

    def place(asked: AskPlace) -> Answer:
        frame = session.frame_at(asked.place)
        overview = webp_uri(session.overview(frame))
        return {"frame": frame, "place": session.place(frame), "overview": overview}

    def save(asked: AskSave) -> Answer:
        path = session.base.save(asked.settings, asked.name, asked.about, overwrite=asked.overwrite)
        return {"path": str(path), "name": asked.name}

    def render(asked: AskSettings) -> Answer:
        session.told(asked.settings)  # what is not accepted is said now
        rendering.start(session.base.command(asked.settings, session.output))
        return asdict(rendering.progress)

    def progress(_: AskNothing) -> Answer:
        return asdict(rendering.progress)

    def stop(_: AskNothing) -> Answer:
        rendering.stop()
        return asdict(rendering.progress)

    async def page(_: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(tune_page, session))

    def asked(path: str, form: type[Q], answer: Callable[[Q], Answer]) -> Route:
        return Route(path, _endpoint(form, answer, fault), methods=["POST"])

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            asked("/settings", AskSettings, lambda one: session.told(one.settings)),
            asked("/look", AskLook, look),
            asked("/place", AskPlace, place),
            asked("/save", AskSave, save),
            asked("/render", AskSettings, render),
            asked("/progress", AskNothing, progress),
            asked("/stop", AskNothing, stop),
        ]
    )


def _endpoint(
    form: type[Q], answer: Callable[[Q], Answer], fault: Callable[[Exception], None]
) -> Callable[[Request], Awaitable[Response]]:
    """A question of one form, answered by a thread: errors are answers too."""

    async def endpoint(request: Request) -> Response:
        try:
            question = form.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(
                f"The page asked something unknown: {fault_of(error)}.", "Load it anew."
            )
        try:
            return JSONResponse(await run_in_threadpool(answer, question))
        except VdenoiseError as error:
            return _refusal(error.what, error.hint)
        except Exception as error:
            fault(error)
            return _refusal("This is a bug of vdenoise.", "The terminal has the details.", 500)

    return endpoint


def _refusal(what: str, hint: str, status: int = 400) -> Response:
    return JSONResponse({"what": what, "hint": hint}, status)
