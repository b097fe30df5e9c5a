"""A GPU found by its device files and torch's own libraries, without importing torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from absa_server.engines.gpu import gpu_memory_bytes, has_gpu


@pytest.fixture
def cuda_torch(tmp_path: Path) -> Path:
    """The folder of a torch that was built for CUDA, as far as it is looked at."""
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libtorch_cuda.so").touch()
    return tmp_path / "torch"


def _devices(folder: Path, *names: str) -> Path:
    (folder / "dev").mkdir()
    for name in names:
        (folder / "dev" / name).touch()
    return folder / "dev"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["null", "nvidia0", "nvidiactl"], True),
        (["nvidia12"], True),
        (["dxg"], True),
        (["null", "nvidia-caps"], False),
        ([], False),
    ],
)
def test_gpu_shows_as_a_device(names: list[str], found: bool, cuda_torch: Path, tmp_path: Path) -> None:
    """What the driver makes in a container counts; its other files do not."""
    assert has_gpu(_devices(tmp_path, *names), cuda_torch) is found


def test_torch_for_the_cpu_finds_no_gpu(tmp_path: Path) -> None:
    """The driver is there, the libraries are not: such an image runs on the CPU, and imports no torch to learn it."""
    (tmp_path / "torch").mkdir()
    assert not has_gpu(_devices(tmp_path, "nvidia0"), tmp_path / "torch")


def test_looking_imports_no_torch() -> None:
    """Neither the question nor the gauge costs a CPU server torch's memory."""
    code = (
        "import sys; from absa_server.engines.gpu import gpu_memory_bytes, has_gpu; "
        "print(has_gpu() in (True, False), gpu_memory_bytes(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0", "False"]


def test_memory_is_none_before_torch_uses_a_gpu() -> None:
    """torch imported (its tests run beside this one) and no GPU used: 0, and none is initialized by asking."""
    if torch.cuda.is_initialized():
        pytest.skip("an earlier test has used the GPU")
    assert gpu_memory_bytes() == 0
    assert not torch.cuda.is_initialized()
