"""What the compiled engine gains and costs: conversion, loads, ms a call against eager torch, memory over shapes.

Calls are interleaved, medians told. Each model folder below `--models`; with `--shapes`, models of public sizes with
random weights and a tiny tokenizer of their kind, opened as the server opens them. Exit code 1 when one of those is not
`--least` times as fast as eager torch at batch 1. Run by `make drill-engine`.
"""

import argparse
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from absa_server.absa.artifact import open_artifact
from absa_server.engines.conversion import ConversionLimits, compile_model
from absa_server.engines.network import read_info
from absa_server.engines.openvino import BLOB, StreamPlan, compile_blob, load_network
from absa_server.types import Engine, FloatArray

SHAPES = ((1, 24), (32, 24), (8, 128))
# Configuration, and the family whose tokenizer goes with it (tests/absa/families.py); tiny is for the tests.
TINY = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 96}
SIZES = {
    "bert-base": ("Bert", "bert", {}),
    "deberta-v3-base": ("DebertaV2", "deberta v2", {}),
    "tiny": ("Bert", "bert", TINY),
}
TAGS = {0: "O", 1: "B-ASP", 2: "I-ASP"}


def say(line: str) -> None:
    """One line, at once, unwrapped."""
    Console(soft_wrap=True, highlight=False, markup=False).print(line)


def resident_mb() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20


def timed(what: Callable[[], object]) -> float:
    """Seconds that `what` takes."""
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def batch(rows: int, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Random ids, nothing padded."""
    ids = np.random.default_rng(rows * length).integers(0, vocabulary, (rows, length))
    return ids, np.ones_like(ids)


def compare(compiled: Engine, eager: Engine, *, vocabulary: int, rounds: int) -> float:
    """Prints medians of interleaved calls, their ratio and the largest difference of the logits; batch 1's ratio."""
    ratios = []
    for rows, length in SHAPES:
        ids, mask = batch(rows, length, vocabulary)
        answers: dict[str, FloatArray] = {}
        seconds: dict[str, list[float]] = {"compiled": [], "eager": []}
        for _ in range(rounds):
            for name, engine in (("compiled", compiled), ("eager", eager)):
                begin = time.perf_counter()
                answers[name] = engine.infer(ids, mask, None)
                seconds[name].append(time.perf_counter() - begin)
        fast, slow = (1000 * statistics.median(seconds[name][1:] or seconds[name]) for name in ("compiled", "eager"))
        difference = np.abs(answers["compiled"] - answers["eager"]).max()
        ratios.append(slow / fast)
        ratio = f"{fast:.1f} ms, torch {slow:.1f} ms, {slow / fast:.2f} times"
        say(f"  {rows}x{length}: {ratio}, logits differ by {difference:.1e}")
    return ratios[0]


def memory(folder: Path, plan: StreamPlan, *, shapes: int, most_tokens: int) -> None:
    """Prints resident memory over random shapes, then over loads and unloads. Runs in a process of its own."""
    info, rng = read_info(folder), random.Random(1)
    engine, curve = load_network(folder, "f32", plan, blob=None), [resident_mb()]
    for number in range(1, shapes + 1):
        length = rng.randint(4, min(256, info.max_tokens or 256))
        engine.infer(*batch(max(1, min(rng.randint(1, 32), most_tokens // length)), length, info.vocabulary), None)
        if number % max(1, shapes // 8) == 0:
            curve.append(resident_mb())
    say(f"  resident MB, loaded and over {shapes} shapes of at most {most_tokens} tokens: {curve}")
    engine.close()
    curve = [resident_mb()]
    for _ in range(20):
        engine = load_network(folder, "f32", plan, blob=None)
        engine.infer(*batch(4, 24, info.vocabulary), None)
        engine.close()
        curve.append(resident_mb())
    say(f"  resident MB, unloaded and after each of 20 loads: {curve}")


def measure(folder: Path, *, task: str, labels: int, arguments: argparse.Namespace) -> float:
    """Everything about one model folder, printed; how many times as fast as eager torch it is at batch 1."""
    # The memory process must not import torch.
    from absa_server.engines.torch import load_torch_engine  # noqa: PLC0415
    from absa_server.engines.torch_devices import CpuDevice  # noqa: PLC0415

    plan, precision = StreamPlan(1, arguments.threads), arguments.precision
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as compiled:
        network, blob = Path(out), Path(compiled)
        converted = timed(lambda: compile_model(folder, network, task=task, labels=labels, limits=ConversionLimits()))
        first = timed(lambda: compile_blob(network, blob, precision, plan))
        cached = timed(lambda: load_network(network, precision, plan, blob=blob / BLOB).close())
        seconds = f"converted {converted:.1f} s, first compile {first:.2f} s, cached load {cached:.2f} s"
        say(f"{folder.name}, {precision}: {seconds}")
        engine = load_network(network, precision, plan, blob=blob / BLOB)
        eager = load_torch_engine(folder, task=task, labels=labels, threads=arguments.threads, device=CpuDevice())
        ratio = compare(engine, eager, vocabulary=read_info(network).vocabulary, rounds=arguments.rounds)
        command = [sys.executable, "-m", "tests.drills.engine", "--memory", out, "--random", str(arguments.random)]
        if arguments.random:
            subprocess.run([*command, "--most-tokens", str(arguments.most_tokens)], check=True)
    return ratio


def save_random(name: str, folder: Path) -> None:
    """A token classifier of a public model's size, with random weights and a tiny tokenizer of the right kind."""
    import transformers  # noqa: PLC0415

    from tests.absa.families import FAMILIES  # noqa: PLC0415  imports transformers

    kind, family, options = SIZES[name]
    if kind == "DebertaV2":  # microsoft/deberta-v3-base
        options = {"vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                   "intermediate_size": 3072, "relative_attention": True, "position_buckets": 256, "type_vocab_size": 0,
                   "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
                   "position_biased_input": False, "layer_norm_eps": 1e-7, "max_relative_positions": -1}  # fmt: skip
    folder.mkdir()
    FAMILIES[family].save(folder)
    config = getattr(transformers, f"{kind}Config")(**options, id2label=TAGS)
    getattr(transformers, f"{kind}ForTokenClassification")(config).save_pretrained(folder)


def measure_artifact(folder: Path, arguments: argparse.Namespace) -> list[float]:
    """`measure` of each model of the artifact in `folder`, opened and checked as the server does."""
    artifact = open_artifact(folder)
    found = filter(None, (artifact.aspect, artifact.sentiment))
    return [measure(one.folder, task=one.task, labels=len(one.id2label), arguments=arguments) for one in found]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--shapes", default="", help=f"of {', '.join(SIZES)}, separated by commas")
    parser.add_argument("--least", type=float, default=2.0, help="least ratio to eager torch at batch 1, of the shapes")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--random", type=int, default=2000, help="random shapes for the memory curve; 0: none")
    parser.add_argument("--most-tokens", type=int, default=1024)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    """Measures what is asked for; 1 when a shape is below the bar."""
    arguments = parse()
    logging.disable(logging.INFO)
    if arguments.memory:
        memory(arguments.memory, StreamPlan(1, 2), shapes=arguments.random, most_tokens=arguments.most_tokens)
        return 0
    if arguments.models:
        measure_artifact(arguments.models, arguments)
    ratios = []
    for name in filter(None, arguments.shapes.split(",")):
        with tempfile.TemporaryDirectory() as parent:
            save_random(name, Path(parent) / name)
            ratios += measure_artifact(Path(parent) / name, arguments)
    return 0 if all(ratio >= arguments.least for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
