"""What a shell offers when Tab is pressed, beside the names of options and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def from_words(words: Callable[[], Iterable[str]]) -> Complete:
    """Offer words, looked up when they are asked for, and files where none begins like that."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        found = [CompletionItem(word) for word in words() if word.startswith(begun)]
        return found or files(begun)

    return complete


def files(begun: str) -> list[CompletionItem]:
    """Let the shell offer files."""
    return [CompletionItem(begun, type="file")]
