"""Precision by what was asked, what the artifact brings and what the CPU can do."""

from pathlib import Path

import pytest

from absa_server.engines.precision import choose_precision, cpu_features, cpu_signature
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
