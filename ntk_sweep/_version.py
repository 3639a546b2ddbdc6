"""The version of ntk-sweep, said here and nowhere else."""

__version__ = "0.1.0"
