"""Asks a running server about many records, so many a request, and puts its answers back into the records' order.

Knows HTTP and the shape of requests; nothing of what the answers should be.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

TIMEOUT_S = 300.0
# Requests under way at once: enough to mix the work of several in the server.
CLIENTS = 2

Json = Mapping[str, Any]


class WrongAnswer(AssertionError):
    """The server refused a request, or its answer is not one result a record, in order."""


def ask(
    url: str,
    records: Sequence[Json],
    *,
    records_a_request: int,
    parameters: Json,
    done: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """The result of each record (`id`, `text`, perhaps `aspects`). `done` is told how many more are answered.

    Raises `WrongAnswer`.
    """
    groups = [records[first : first + records_a_request] for first in range(0, len(records), records_a_request)]
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client, ThreadPoolExecutor(CLIENTS) as pool:

        def ask_group(group: Sequence[Json]) -> list[dict[str, Any]]:
            results = _ask(client, group, parameters)
            done(len(group))
            return results

        return [result for results in pool.map(ask_group, groups) for result in results]


def _ask(client: httpx.Client, group: Sequence[Json], parameters: Json) -> list[dict[str, Any]]:
    response = client.post("/invocations", json={"inputs": list(group), "parameters": dict(parameters)})
    if response.status_code != 200:
        raise WrongAnswer(f"expected 200 for {[one['id'] for one in group]}, got {response.text[:500]}")
    results: list[dict[str, Any]] = response.json()["results"]
    expected, found = [one["id"] for one in group], [one.get("id") for one in results]
    if found != expected:
        raise WrongAnswer(f"expected one result a record, in order {expected}, got {found}")
    if errors := [one for one in results if "error" in one]:
        raise WrongAnswer(f"expected an answer for every record, got {errors[0]}")
    return results
