"""A page as one file of HTML, which asks the network for nothing.

Texts come from clips, folders and command lines of anybody: templates escape all of them, and the
page's own policy lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vdenoise import __version__

_WEB = files(__package__) / "web"


def render(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    asks: bool = False,
    **values: Any,
) -> str:
    """A page of `web`, with its styles and scripts inside and a policy that allows nothing else.

    Args:
        template: name of the page.
        styles, scripts: names of the files that it holds.
        asks: whether its scripts may ask the server that the page came from.
        values: what the page shows; texts are escaped.
    """
    style, script = (_joined(names) for names in (styles, scripts))
    connect = "connect-src 'self'; " if asks else ""
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; {connect}base-uri 'none'; form-action 'none'"
    )
    return (
        _pages()
        .get_template(template)
        .render(
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            version=__version__,
            **values,
        )
    )


def as_data(value: Any) -> Markup:
    """JSON that may stand in a page's script element: nothing in it ends that."""
    text = json.dumps(value, ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


@cache
def _pages() -> Environment:
    return Environment(
        loader=FunctionLoader(lambda name: (_WEB / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _joined(names: Sequence[str]) -> str:
    return "\n".join((_WEB / name).read_text(encoding="utf-8") for name in names)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
