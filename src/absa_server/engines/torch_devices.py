"""Where torch runs a forward pass: the CPU, or a GPU through CUDA. Knows no model.

A GPU's copies and passes are queued, so each call of `run` takes a CUDA stream of its own: the copies of one call
overlap the arithmetic of another.
"""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from absa_server.engines.buckets import bucket_length
from absa_server.engines.precision import cpu_features, has_bf16
from absa_server.types import FloatArray, IntArray

Forward = Callable[[torch.Tensor], torch.Tensor]


class TorchDevice(Protocol):
    """What the torch engine asks of a device. Callable from several threads."""

    @property
    def name(self) -> str:
        """The word torch has for it."""

    @property
    def batch_tokens(self) -> int:
        """See `types.Engine`."""

    @property
    def has_bf16(self) -> bool:
        """Whether bf16 is computed in hardware, and not slower than float32."""

    def padded_length(self, length: int, longest: int | None) -> int:
        """How many columns rows of `length` tokens are given, at most `longest`."""

    def run(self, forward: Forward, inputs: IntArray) -> FloatArray:
        """What `forward` makes of `inputs` on the device, as an array of the host's that nobody else holds."""

    def free(self) -> None:
        """Gives memory back that was kept for the next pass."""


class CpuDevice:
    """The cores of this process. Lengths stay as they are: padding would be waste."""

    name = "cpu"
    batch_tokens = 512

    def __init__(self) -> None:
        self.has_bf16 = has_bf16(cpu_features())

    def padded_length(self, length: int, longest: int | None) -> int:  # noqa: ARG002
        """See `TorchDevice`."""
        return length

    def run(self, forward: Forward, inputs: IntArray) -> FloatArray:
        """See `TorchDevice`."""
        logits: FloatArray = forward(torch.from_numpy(inputs)).numpy()
        return logits

    def free(self) -> None:
        """See `TorchDevice`."""


@dataclass(frozen=True, slots=True)
class _Lane:
    stream: torch.cuda.Stream
    done: torch.cuda.Event


class CudaDevice:
    """The first GPU that CUDA shows. As many calls as there are `streams` run side by side; more wait for one."""

    name = "cuda"
    batch_tokens = 16_384

    def __init__(self, streams: int) -> None:
        self.has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        self._lanes: queue.LifoQueue[_Lane] = queue.LifoQueue()
        for _ in range(streams):
            # blocking: the waiting thread sleeps; by default it would spin, on a core that tokenizes meanwhile.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._lanes.put(_Lane(torch.cuda.Stream(), done))  # type: ignore[no-untyped-call]

    def padded_length(self, length: int, longest: int | None) -> int:
        """See `TorchDevice`."""
        return bucket_length(length, longest)

    def run(self, forward: Forward, inputs: IntArray) -> FloatArray:
        """See `TorchDevice`. Only pinned host memory is copied without waiting; torch keeps it for the next call."""
        lane = self._lanes.get()
        try:
            with torch.cuda.stream(lane.stream):
                logits = forward(torch.from_numpy(inputs).pin_memory().to(self.name, non_blocking=True))
                pinned = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
                pinned.copy_(logits, non_blocking=True)
                lane.done.record(lane.stream)
            lane.done.synchronize()
            answer: FloatArray = pinned.numpy().copy()  # pinned memory is scarce, and answers may be kept for long
        finally:
            self._lanes.put(lane)
        return answer

    def free(self) -> None:
        """See `TorchDevice`."""
        torch.cuda.empty_cache()


def is_cuda_usable() -> bool:
    """Whether torch, its driver and a GPU work together here."""
    return torch.cuda.is_available()


def choose_device(streams: int) -> TorchDevice:
    """The GPU where torch can use one, else the CPU."""
    return CudaDevice(streams) if is_cuda_usable() else CpuDevice()
