"""Precision by what was asked, what the artifact brings and what the CPU can do."""

from pathlib import Path

import pytest

from absa_server.engines.precision import (
    choose_precision,
    choose_torch_precision,
    cpu_features,
    cpu_signature,
    has_bf16,
)
from absa_server.errors import InvalidModel


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 sse\n", {"avx2", "avx512_bf16"}),
        ("Features\t: fp asimd bf16\n", {"asimd", "bf16"}),
        ("processor\t: 0\n", set()),
    ],
)
def test_features_are_read_from_cpuinfo(text: str, features: set[str], tmp_path: Path) -> None:
    """x86 and Arm name them differently; what does not matter is left out."""
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_features(tmp_path / "cpuinfo") == features
    assert cpu_features(tmp_path / "missing") == set()


@pytest.mark.parametrize(
    ("wanted", "packed", "features", "chosen"),
    [
        ("auto", (), ("avx2",), "f32"),
        ("auto", (), ("avx512_bf16",), "bf16"),
        ("auto", (), ("amx_bf16",), "bf16"),
        ("auto", (), ("bf16",), "bf16"),
        ("auto", ("int8", "f32"), ("avx512_bf16",), "int8"),
        ("f32", ("int8",), ("avx512_bf16",), "f32"),
        ("bf16", ("int8",), ("avx512_bf16",), "bf16"),
        ("int8", ("int8",), (), "int8"),
    ],
)
def test_precision_is_chosen(wanted: str, packed: tuple[str, ...], features: tuple[str, ...], chosen: str) -> None:
    """What was named is taken; auto takes what was packed on purpose, then what the hardware has."""
    assert choose_precision(wanted, packed=packed, features=features) == chosen


def test_bf16_without_hardware_is_f32_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not slower arithmetic under the name that was asked for."""
    assert choose_precision("bf16", packed=(), features=("avx2",)) == "f32"
    assert [record.message for record in caplog.records] == ["precision_unavailable"]


def test_int8_that_is_not_packed_is_refused() -> None:
    """The owner is told how to make one."""
    with pytest.raises(InvalidModel, match="package_model --int8"):
        choose_precision("int8", packed=("f32",), features=())


def test_signature_tells_kinds_of_cpu_apart() -> None:
    """The order of the flags does not matter, each of them does."""
    assert cpu_signature({"avx2", "avx512f"}) == cpu_signature(["avx512f", "avx2"]) != cpu_signature({"avx2"})


@pytest.mark.parametrize(
    ("wanted", "has_bf16", "is_gpu", "chosen"),
    [
        ("auto", True, True, "bf16"),
        ("auto", False, True, "f32"),
        ("auto", True, False, "f32"),
        ("f32", True, True, "f32"),
        ("bf16", True, True, "bf16"),
        ("bf16", True, False, "bf16"),
    ],
)
def test_precision_of_torch_is_chosen(wanted: str, has_bf16: bool, is_gpu: bool, chosen: str) -> None:
    """auto is bf16 on a GPU that has it, and float32 on the CPU, where torch is what others are compared with."""
    assert choose_torch_precision(wanted, has_bf16=has_bf16, is_gpu=is_gpu) == chosen


@pytest.mark.parametrize(("is_gpu", "reason"), [(True, "this GPU has none"), (False, "this CPU has none")])
def test_bf16_on_torch_without_hardware_is_f32_and_told(
    is_gpu: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the device that lacks it; auto takes float32 without a word."""
    assert choose_torch_precision("auto", has_bf16=False, is_gpu=is_gpu) == "f32"
    assert caplog.records == []
    assert choose_torch_precision("bf16", has_bf16=False, is_gpu=is_gpu) == "f32"
    [record] = caplog.records
    assert (record.message, reason in record.__dict__["reason"]) == ("precision_unavailable", True)


def test_int8_on_torch_is_refused() -> None:
    """Not another precision under its name: the owner is told which engine has it."""
    with pytest.raises(InvalidModel, match="ABSA_ENGINE=openvino"):
        choose_torch_precision("int8", has_bf16=True, is_gpu=True)


def test_bf16_is_told_by_the_features() -> None:
    """AMX has it in hardware, AVX2 has not."""
    assert has_bf16({"amx_bf16"})
    assert not has_bf16({"avx2"})
