"""Is there a GPU that torch could use here? Answered without importing torch, which costs a CPU server 250 MB."""

import sys
from importlib.util import find_spec
from pathlib import Path

# Threads that prepare batches for one GPU: while it runs one batch, others are tokenized and copied. More make smaller
# batches, since each takes its share of what waits. Not measured.
GPU_STREAMS = 4

_DEVICES = Path("/dev")
# How the driver shows itself in a container, and under the Windows Subsystem for Linux.
_NODES = ("nvidiactl", "nvidia[0-9]*", "dxg")
_CUDA_LIBRARY = "lib/libtorch_cuda.so"


def has_gpu(devices: Path = _DEVICES, torch_folder: Path | None = None) -> bool:
    """Whether a driver shows an NVIDIA GPU and the installed torch, here or in `torch_folder`, is built for CUDA.

    Only torch itself knows whether the two fit together (`torch.cuda.is_available`); it is asked when this is true.
    """
    folder = torch_folder or _installed_torch()
    if folder is None or not (folder / _CUDA_LIBRARY).is_file():
        return False
    return any(True for pattern in _NODES for _ in devices.glob(pattern))


def gpu_memory_bytes() -> int:
    """Bytes of GPU memory this process keeps, those free for its next batches included; 0 before torch uses a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    reserved: int = torch.cuda.memory_reserved()
    return reserved


def _installed_torch() -> Path | None:
    spec = find_spec("torch")  # looks for the folder, runs nothing in it
    return Path(spec.origin).parent if spec and spec.origin else None
