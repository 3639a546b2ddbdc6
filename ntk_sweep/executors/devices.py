"""The CUDA devices of this process."""

from __future__ import annotations


def cuda_devices() -> int:
    """How many CUDA devices torch finds in this process; torch is imported for it."""
    import torch

    return torch.cuda.device_count()
