"""The benchmark's result as one JSON document, the one that `absa plan` reads; docs/performance.md tells its fields."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absa_server.benchmark.cells import Cell
from absa_server.benchmark.process_tree import Memory
from absa_server.benchmark.session import Knee, Plan
from absa_server.benchmark.targets import scaling_targets

SCHEMA = "absa-bench/1"


def to_document(
    plan: Plan,
    cells: Sequence[Cell],
    knees: Sequence[Knee],
    *,
    safety_factor: float,
    memory: Memory | None,
    when: str,
    label: str,
) -> dict[str, Any]:
    """The document. `label` is the user's own name of what was measured; `when` an ISO 8601 moment."""
    return {
        "schema": SCHEMA,
        "label": label,
        "when": when,
        "machine": machine(),
        "target": f"http://{plan.target.address}{plan.target.path}",
        "texts_per_request": plan.texts_per_request,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "cells": [asdict(cell) | {"error_share": cell.error_share} for cell in cells],
        "knees": [asdict(knee) | {"targets": _targets(knee, safety_factor)} for knee in knees],
        "memory": asdict(memory) if memory else None,
    }


def write_document(document: dict[str, Any], file: Path) -> None:
    """Write it whole or not at all; folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(file)


def machine() -> dict[str, Any]:
    """The machine that made the load; also the server's when both are one."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
    return {
        "cpu": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "features": [flag for flag in wanted if flag in flags],
        "system": f"{platform.system()} {platform.release()}",
        "load_average_1min": os.getloadavg()[0],
    }


def _targets(knee: Knee, safety_factor: float) -> dict[str, Any] | None:
    if knee.max_rps is None or knee.mean_ms is None:
        return None
    targets = scaling_targets(max_rps=knee.max_rps, mean_latency_s=knee.mean_ms / 1000, safety_factor=safety_factor)
    return asdict(targets)
