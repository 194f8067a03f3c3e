"""A Slurm of one node, as an ordinary user, in a folder; from Debian's packages.

Installed ones, or those that ``.ci/slurm FOLDER`` has unpacked, where ``VDENOISE_SLURM`` names the
folder.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("VDENOISE_SLURM", "/"))
PLUGINS = next(iter(ROOT.glob("usr/lib/*/slurm-wlm")), ROOT / "none")


def installed() -> bool:
    """Whether there is a Slurm to start."""
    return PLUGINS.is_dir() and all(
        _program(name) is not None for name in ("munged", "slurmctld", "slurmd", "sbatch")
    )


def _program(name: str) -> Path | None:
    found = [ROOT / "usr" / folder / n for folder in ("sbin", "bin") for n in (name, f"{name}-wlm")]
    return next((path for path in found if path.exists()), None)


@dataclass(frozen=True)
class Node:
    """A running one."""

    environment: dict[str, str]

    def call(self, *words: str, folder: Path | None = None) -> str:
        """The output of a command of Slurm or of a script that calls some."""
        done = subprocess.run(
            words, cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def wait(self, jobs: list[str], seconds: float = 240) -> dict[str, str]:
        """The states of jobs once none is waiting or running."""
        until = time.monotonic() + seconds
        while True:
            states = {job: self._state(job) for job in jobs}
            if not any(
                word in state
                for state in states.values()
                for word in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")
            ):
                return states
            assert time.monotonic() < until, states
            time.sleep(0.5)

    def _state(self, job: str) -> str:
        text = self.call("scontrol", "show", "job", job, "--oneliner")
        words = [word for word in text.split() if word.startswith("JobState=")]
        return " ".join(sorted({word.removeprefix("JobState=") for word in words}))


@contextlib.contextmanager
def node(folder: Path) -> Iterator[Node]:
    """Start one in a folder of a short path (it holds sockets), end it with the context."""
    folder.chmod(0o755)
    environment = dict(os.environ)
    libraries = [str(PLUGINS.parent), str(PLUGINS)]
    environment["LD_LIBRARY_PATH"] = ":".join([*libraries, environment.get("LD_LIBRARY_PATH", "")])
    programs = [str(ROOT / "usr" / name) for name in ("bin", "sbin")]
    environment["PATH"] = ":".join([*programs, environment["PATH"]])
    environment["SLURM_CONF"] = str(folder / "slurm.conf")
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o400)
    (folder / "slurm.conf").write_text(_config(folder))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    stepd, controller, daemon = (_program(n) for n in ("slurmstepd", "slurmctld", "slurmd"))
    commands = [
        [
            *(str(_program("munged")), "--foreground", "--force", f"--socket={folder}/munge.sock"),
            *(f"--key-file={key}", f"--pid-file={folder}/munge.pid"),
            *(f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"),
        ],
        [str(controller), "-D", "-f", str(folder / "slurm.conf")],
        [str(daemon), "-D", "-d", str(stepd), "-f", str(folder / "slurm.conf"), "-N", "one"],
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"daemon{number}.log").open("wb") as log:
                running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            time.sleep(0.7)
        made = Node(environment)
        until = time.monotonic() + 60
        while "idle" not in _sinfo(made):
            assert time.monotonic() < until, _sinfo(made)
            time.sleep(0.5)
        yield made
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(20)


def _sinfo(made: Node) -> str:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"],
        env=made.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _config(folder: Path) -> str:
    user = getpass.getuser()
    return f"""\
ClusterName=test
SlurmctldHost={platform.node()}(127.0.0.1)
SlurmctldPort={_free_port()}
SlurmdPort={_free_port()}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
SlurmUser={user}
SlurmdUser={user}
PluginDir={PLUGINS}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ReturnToService=2
MpiDefault=none
KillWait=20
SchedulerParameters=sched_interval=1,batch_sched_delay=1
MinJobAge=300
NodeName=one NodeHostname={platform.node()} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=one Default=YES MaxTime=INFINITE State=UP
"""
