"""Tests, in the folders of the package."""

import os

# Two workers of pytest share two cores, and each has torch's threads: one that waits for the other
# is to sleep. By default it spins, which doubled the processor time of tests of small tensors.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
