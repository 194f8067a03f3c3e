"""Jobs of a batch begin with everything loaded, and are processes of their own all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vdenoise.batch.workers import Worker, Workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is divided")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as found:
        yield found


def started(workers: Workers, said: Path, *words: str) -> Worker:
    with said.open("wb") as file:
        return workers.start(words, file.fileno())


@pytest.fixture
def waiting(workers: Workers, tmp_path: Path) -> Worker:
    """A job that waits for its clip, which nobody writes."""
    clip = tmp_path / "pipe.y4m"
    os.mkfifo(clip)
    return started(workers, tmp_path / "said", "run", str(clip), "-o", str(tmp_path / "o.mkv"))


def parent_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def begun(worker: Worker) -> None:
    """Wait until a job listens to signals: until it is a process of its own session."""
    while os.getsid(worker.pid) != worker.pid:
        time.sleep(0.01)


def test_each_job_ends_with_its_own_status_and_says_what_it_has_to_say(
    workers: Workers, tmp_path: Path
) -> None:
    jobs = [started(workers, tmp_path / word, word, "--help-no") for word in ("run", "qc")]
    assert [job.wait() for job in jobs] == [2, 2] and jobs[0].pid != jobs[1].pid
    for word in ("run", "qc"):
        assert f"vdenoise {word} --help" in (tmp_path / word).read_text()
    assert jobs[0].wait() == 2  # asked once more


def test_no_library_has_the_last_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """OpenImageIO called it a leak that nothing had been collected, in fifty lines."""
    with Workers() as workers:
        assert started(workers, tmp_path / "said", "run", "--version-no").wait() == 2
    assert capfd.readouterr().err == ""
    assert "leaked" not in (tmp_path / "said").read_text()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_what_ends_a_job_by_a_signal_ends_nothing_else(
    number: signal.Signals, waiting: Worker, workers: Workers, tmp_path: Path
) -> None:
    begun(waiting)
    os.kill(waiting.pid, number)
    assert waiting.wait() == -number
    assert started(workers, tmp_path / "after", "no-such-command").wait() == 2


def test_a_job_that_is_asked_to_end_ends_as_a_run_does(waiting: Worker, tmp_path: Path) -> None:
    begun(waiting)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.01)
    waiting.terminate()
    status = waiting.wait()
    assert status in (143, -signal.SIGTERM), (tmp_path / "said").read_text()  # as its handler
    waiting.terminate()  # there is nothing left to end, and no other process is
    assert [path.name for path in tmp_path.iterdir() if "o.mkv" in path.name] == []


def test_where_the_process_that_divides_is_gone_jobs_end_and_the_next_one_gets_another(
    tmp_path: Path,
) -> None:
    with Workers() as own:
        clip = tmp_path / "pipe.y4m"
        os.mkfifo(clip)
        job = started(own, tmp_path / "said", "run", str(clip), "-o", str(tmp_path / "o.mkv"))
        begun(job)
        server = parent_of(job.pid)
        os.kill(server, signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        after = started(own, tmp_path / "after", "no-such-command")
        assert parent_of(after.pid) != server
        assert after.wait() == 2
