"""The plan as one JSON document, for scripts and reviews: what was measured, asked and found."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from absa_server.capacity.fleet import Demand, Fleet
from absa_server.capacity.load_test import Instance

if TYPE_CHECKING:
    from absa_server.capacity.scenario import Outcome

SCHEMA = "absa-plan/1"


def write_plan(
    file: Path,
    *,
    instance: Instance,
    demand: Demand,
    fleet: Fleet,
    bill: Mapping[str, float],
    outcome: "Outcome | None",
) -> None:
    """Write the document; the burst's second-by-second series stays in the picture."""
    burst = None
    if outcome is not None:
        burst = {name: value for name, value in asdict(outcome).items() if name != "series"}
    document = {
        "schema": SCHEMA,
        "instance": asdict(instance) | {"slots": instance.slots},
        "demand": asdict(demand),
        "fleet": asdict(fleet),
        "monthly_bill": dict(bill) | {"total": sum(bill.values())},
        "burst": burst,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
