"""What this machine has and does: devices, settings of the process, whole files."""
