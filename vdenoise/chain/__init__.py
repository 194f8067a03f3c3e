"""From a preset, a measurement and what was asked to the chain of stages that is run."""
