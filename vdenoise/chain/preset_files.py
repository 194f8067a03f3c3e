"""Where presets are: those that come along, and a person's own."""

from __future__ import annotations

import os
from pathlib import Path

from vdenoise.errors import OutputError, UsageError
from vdenoise.machine.files import write_text

DEFAULT = "auto"
FOLDER_VARIABLE = "VDENOISE_PRESETS"


def shipped_folder() -> Path:
    """Where the presets that come with vdenoise are: in the wheel, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "presets"
    return inside if inside.is_dir() else package.parent / "presets"


def own_folder() -> Path | None:
    """Where a person's own presets are: ``$VDENOISE_PRESETS``, else ``~/.config/vdenoise/presets``
    (``$XDG_CONFIG_HOME``); None where there is no home, as in many containers."""
    if said := os.environ.get(FOLDER_VARIABLE):
        return Path(said)
    if config := os.environ.get("XDG_CONFIG_HOME"):
        return Path(config) / "vdenoise" / "presets"
    try:
        return Path.home() / ".config" / "vdenoise" / "presets"
    except RuntimeError:
        return None


def shipped() -> tuple[str, ...]:
    """Names of the presets that come with vdenoise, ``auto`` first."""
    found = sorted(path.stem for path in shipped_folder().glob("*.toml"))
    return tuple(sorted(found, key=lambda name: name != DEFAULT))


def own() -> tuple[str, ...]:
    """Names of a person's own presets; one that has a shipped preset's name is not among them."""
    folder = own_folder()
    found = sorted(path.stem for path in folder.glob("*.toml")) if folder is not None else []
    return tuple(name for name in found if name not in shipped())


def path_of(name: str) -> Path | None:
    """The file of a preset by name, None if there is none."""
    if name in shipped():
        return shipped_folder() / f"{name}.toml"
    folder = own_folder()
    return folder / f"{name}.toml" if folder is not None and name in own() else None


def new_path(name: str) -> Path:
    """Where a preset of this name is to be saved.

    Raises:
        UsageError: the name cannot be used, or there is no place for presets.
    """
    plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not plain or name in shipped():
        what = "comes with vdenoise" if plain else "is no name of letters, digits, - and _"
        raise UsageError(f"A preset cannot be saved as {name!r}: it {what}.", "Take another name.",
                         number=130)  # fmt: skip
    folder = own_folder()
    if folder is None:
        raise UsageError(
            "There is no place for presets of your own: no home folder is known.",
            f"Name one with {FOLDER_VARIABLE}=FOLDER.",
            number=135,
        )
    return folder / f"{name}.toml"


def write(target: Path, text: str) -> None:
    """Write a preset of one's own, whole or not at all. A link is followed: settings are often kept
    elsewhere and linked.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(Path(os.path.realpath(target)), text)
    except OSError as error:
        raise OutputError(
            f"The preset {target} cannot be written: {error.strerror}.",
            "Say where your presets are: VDENOISE_PRESETS=FOLDER.",
            number=23,
        ) from error
