"""What all tests share: seeded randomness, devices, tolerances by dtype, ``--update-golden``."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

# Full scale 1. Float16 holds 11 bits: half a step near 1 is 2.4e-4, a few operations make four.
TOLERANCES = {torch.float16: 1e-3, torch.float32: 2e-6, torch.float64: 1e-12}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="store what the stages do now as golden"
    )


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same random numbers in every test, whatever ran before; restored afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


@pytest.fixture
def cuda() -> torch.device:
    """The CUDA device; without one the test skips, or fails if VDENOISE_REQUIRE_CUDA=1."""
    if not torch.cuda.is_available():
        if os.environ.get("VDENOISE_REQUIRE_CUDA") == "1":
            pytest.fail("VDENOISE_REQUIRE_CUDA=1, but torch sees no CUDA device")
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device in turn, CUDA as the fixture ``cuda`` has it."""
    if request.param == "cpu":
        return torch.device("cpu")
    found: torch.device = request.getfixturevalue("cuda")
    return found


@pytest.fixture
def tolerances() -> dict[torch.dtype, float]:
    """Largest rounding difference to expect by dtype, full scale 1."""
    return TOLERANCES
