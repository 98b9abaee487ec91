"""The launcher for a Slurm cluster: agents run as jobs of their person's account."""

from madang.compute.slurm.launcher import SlurmLauncher
from madang.compute.slurm.settings import SlurmSettings

__all__ = ["SlurmLauncher", "SlurmSettings"]
