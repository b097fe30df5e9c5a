"""What models of a store answer, and whether two answers are the same but for the last digits of their scores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from tests.integration.server_process import ServerProcess

TEXT = "The food was great, but the staff was slow."
# Both stages answer, whether the aspect stage finds something or not.
INPUTS = [{"text": TEXT}, {"text": TEXT, "aspects": ["food", "staff"]}]
# Rows of other requests in the same pass change the order of additions.
TOLERANCE = 1e-4
# What equal answers are defined for, and what the footprints are of; where the CPU has bf16, auto takes that.
SERVED_AS = {"ABSA_PRECISION": "f32"}


def body(name: str) -> dict[str, Any]:
    """A request for the model `name`."""
    return {"inputs": INPUTS, "parameters": {"model": name}}


def client(url: str) -> httpx.Client:
    """A patient client of the server at `url`."""
    return httpx.Client(base_url=url, timeout=120, trust_env=False)


def fresh_answers(variables: dict[str, str], names: Iterable[str], work: Path) -> dict[str, Any]:
    """Each model's answer right after its load, by a server with a cache of its own.

    `variables` say where the store is. Raises AssertionError when two models answer alike: then nothing could be told
    from their answers.
    """
    own = {"ABSA_CACHE_DIR": str(work / "fresh-cache")}
    with ServerProcess(variables | own, log=work / "fresh.log") as server:
        server.wait_until_ready()
        with client(server.url) as http:
            answers = {name: http.post("/invocations", json=body(name)).raise_for_status().json() for name in names}
    kept = list(answers.values())
    alike = [(a, b) for a in range(len(kept)) for b in range(a) if difference(kept[a], kept[b]) <= 10 * TOLERANCE]
    assert not alike, f"models that cannot be told apart: {alike[:3]}"
    return answers


def difference(one: Any, other: Any) -> float:
    """The largest difference of two numbers in the same place; infinite where anything else differs."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((difference(value, other[key]) for key, value in one.items()), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max((difference(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    return 0.0 if one == other else float("inf")
