"""Docstrings say what a thing is or does, in a sentence that can be read alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vdenoise

ROOT = Path(vdenoise.__file__).parent

# A text that begins so is the end of a sentence whose beginning is in its writer's head: "Of the
# profile.", "As measured.", "For people."
FRAGMENTS = {
    *("also", "as", "at", "behind", "by", "for", "from", "in", "minus", "not", "of", "on", "only"),
    *("that", "these", "this", "those", "to", "unless", "with", "without", "yes", "no"),
}


def documented(path: Path) -> list[tuple[str, str]]:
    """Name and docstring of each class and function of a module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            found.append((node.name, text))
    return found


@pytest.mark.parametrize("package", sorted(p.name for p in ROOT.iterdir() if p.is_dir()))
def test_no_docstring_begins_in_the_middle_of_a_sentence(package: str) -> None:
    fragments = [
        f"{path.relative_to(ROOT)} {name}: {text}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, text in documented(path)
        if text.split()[0].rstrip(".,:").lower() in FRAGMENTS
    ]
    assert not fragments, "\n".join(fragments)


def test_every_module_says_what_it_is_about() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(text.split()) > 2 or path.name == "__init__.py", path
