"""Which arithmetic a network runs in, by what was asked, what the artifact brings and what this CPU can do."""

import logging
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from absa_server.errors import InvalidModel

logger = logging.getLogger(__name__)

Precision = Literal["f32", "bf16", "int8"]
WantedPrecision = Literal["auto", "f32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_CPU_INFO = Path("/proc/cpuinfo")
# What changes the kernels that OpenVINO chooses: compiled networks are kept apart by it.
_RELEVANT = {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
             "amx_int8", "asimd", "asimddp", "bf16", "sve", "i8mm"}  # fmt: skip
# In software bf16 is slower than f32. "bf16" is how Arm names it.
_HARDWARE_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
_NO_CPU_BF16 = "this CPU has none of AVX512-BF16, AMX-BF16, Arm BF16"


def cpu_features(cpu_info: Path = _CPU_INFO) -> frozenset[str]:
    """The instruction sets of this CPU that matter here, as Linux names them; none where it does not tell."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    # The first core speaks for all: "flags" on x86, "Features" on Arm.
    told = next((line for line in lines if line.split(":")[0].strip() in {"flags", "Features"}), "")
    return frozenset(told.partition(":")[2].split()) & _RELEVANT


def has_bf16(features: Collection[str]) -> bool:
    """Whether the CPU has bf16 in hardware; in software it is slower than float32, and worse."""
    return bool(_HARDWARE_BF16 & set(features))


def cpu_signature(features: Collection[str]) -> str:
    """One word for a kind of CPU, for the keys of what was compiled for it."""
    return "-".join([platform.machine(), *sorted(features)])


def choose_precision(wanted: WantedPrecision, *, packed: Collection[str], features: Collection[str]) -> Precision:
    """The precision to run in. `packed` are those the artifact has networks for; an int8 one is there on purpose.

    bf16 without hardware becomes f32 with a warning: the same environment may run on a fleet of several CPUs, and
    f32 is the better answer. Raises `InvalidModel` for int8 that the artifact does not bring.
    """
    if wanted == "int8" and "int8" not in packed:
        raise InvalidModel(
            "ABSA_PRECISION=int8: the artifact has no int8 network, and none is made while serving, because what it "
            "costs in answers must be measured; pack one with `package_model --int8`, or choose auto"
        )
    if wanted == "int8" or (wanted == "auto" and "int8" in packed):
        return "int8"
    has_hardware = has_bf16(features)
    if wanted == "bf16" and not has_hardware:
        _warn_without_bf16(_NO_CPU_BF16)
    return "bf16" if has_hardware and wanted != "f32" else "f32"


def choose_torch_precision(wanted: WantedPrecision, *, has_bf16: bool, is_gpu: bool) -> Literal["f32", "bf16"]:
    """The precision in which torch runs. auto takes bf16 on a GPU that has it; on the CPU torch is the reference: f32.

    Raises `InvalidModel` for int8, which is the compiled engine's alone.
    """
    if wanted == "int8":
        raise InvalidModel(
            "ABSA_PRECISION=int8: torch runs no int8 networks; choose ABSA_ENGINE=openvino, which runs them on the "
            "CPU, or ABSA_PRECISION=auto"
        )
    if wanted == "bf16" and not has_bf16:
        _warn_without_bf16("this GPU has none (Ampere and later have)" if is_gpu else _NO_CPU_BF16)
    return "bf16" if has_bf16 and (wanted == "bf16" or (wanted == "auto" and is_gpu)) else "f32"


def _warn_without_bf16(reason: str) -> None:
    logger.warning("precision_unavailable", extra={"wanted": "bf16", "used": "f32", "reason": reason})
