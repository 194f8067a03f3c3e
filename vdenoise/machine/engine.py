"""What computed a segment: two segments with the same fingerprint have the same bits."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from vdenoise import __version__, compiled

# Instruction sets that libraries choose their code by: the last bits of results differ.
_SETS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve")


def fingerprint(device: str) -> dict[str, str]:
    """Versions and the class of device, each as text."""
    return {
        "vdenoise": __version__,
        **{name: version(name) for name in ("torch", "av", "opencv-python-headless", "numpy")},
        "processor": _processor(),
        "inner loops": compiled.described(),
        "device": _card(device) if device != "cpu" else "cpu",
    }


def _processor() -> str:
    """``x86_64 AuthenticAMD AVX512: avx2 fma avx512f``: MKL and OpenCV choose code by all of it."""
    cpuinfo = Path("/proc/cpuinfo")
    found: dict[str, str] = {}
    if cpuinfo.exists():
        text = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        lines = (line.partition(":") for line in text.splitlines())
        found = {key.strip(): value.strip() for key, _, value in lines}
    words = (found.get("flags") or found.get("Features") or "").split()
    sets = " ".join(name for name in _SETS if name in words)
    maker = found.get("vendor_id", "unknown")
    return f"{platform.machine()} {maker} {torch.backends.cpu.get_cpu_capability()}: {sets}"


def _card(device: str) -> str:
    """``NVIDIA H100, sm_90, CUDA 12.8, cuDNN 91002``."""
    name = torch.cuda.get_device_name(device)
    major, minor = torch.cuda.get_device_capability(device)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return f"{name}, sm_{major}{minor}, CUDA {torch.version.cuda}, cuDNN {cudnn}"
