"""What the job of each farm has a place for: the rest is refused, and not dropped."""

from __future__ import annotations

from collections.abc import Collection

from vdenoise.errors import UsageError

_SITE = "the farm has its own settings for that"
# Options of ``farm export`` that a farm's job cannot say, each with the way there is instead.
WITHOUT: dict[str, dict[str, str]] = {
    "openjd": {},
    "opencue": {},
    "slurm": {
        "priority": "Slurm counts by its own scale: --farm-option nice=100 lowers a job, "
        "--farm-option qos=NAME is the site's way to raise it."
    },
    "deadline10": dict.fromkeys(("cpus", "gpus", "memory"), "Choose a Pool or Group of machines."),
    "flamenco": {
        **dict.fromkeys(("cpus", "gpus", "memory"), "Give the job's type a worker tag."),
        "at-once": "The Manager hands a task to every worker that is free.",
        "retries": "It is task_fail_after_softfail_count of the Manager's configuration.",
    },
    "cmdlist": {
        "memory": "What starts the commands says what they get.",
        "priority": "Start them with: nice -n 10 sh submit.sh",
    },
}


def check_places(engine: str, typed: Collection[str]) -> None:
    """See that what was typed reaches the farm.

    Args:
        engine: the farm.
        typed: options of ``farm export``, without their dashes.

    Raises:
        UsageError: its jobs have no place for one.
    """
    for name, instead in WITHOUT[engine].items():
        if name in typed:
            raise UsageError(
                f"A job of {engine} cannot say --{name}: {_SITE}.",
                f"Leave --{name} away. {instead}",
                number=38,
            )
