"""The few figures of one instance that a plan starts from, read from what `absa bench` wrote. Knows only its JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from absa_server.capacity.errors import InvalidLoadTest


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as it was measured.

    `max_rps`: the highest rate that meets the limit of p99. `capacity_rps`: the most it answered in closed loop.
    `service_s`: how long a request takes when nothing else is under way. `slots` of that service time make up its
    capacity, which turns an instance into a queue with that many servers.
    """

    max_rps: float
    capacity_rps: float
    service_s: float
    mean_latency_s: float
    reviews_per_request: int
    slo_ms: float

    @property
    def slots(self) -> int:
        """Requests served side by side, at least one."""
        return max(1, round(self.capacity_rps * self.service_s))

    @property
    def slot_rps(self) -> float:
        """What one slot answers; all slots together give the capacity that was measured."""
        return self.capacity_rps / self.slots


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Cell(_Part):
    concurrency: int | None
    throughput_rps: float = Field(ge=0)
    p50_ms: float | None


class _Knee(_Part):
    slo_ms: float
    max_rps: float | None
    mean_ms: float | None


class _Document(_Part):
    schema_name: Literal["absa-bench/1"] = Field(alias="schema")
    texts_per_request: int = Field(ge=1)
    cells: list[_Cell]
    knees: list[_Knee]


def read_load_test(file: Path, *, slo_ms: float | None = None) -> Instance:
    """The instance measured in `file`, by its knee for `slo_ms`, or by the strictest knee there is.

    Raises `InvalidLoadTest`.
    """
    try:
        document = _Document.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InvalidLoadTest(f"{file}: cannot be read: {error}") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise InvalidLoadTest(f"{file}: expected a document of `absa bench`: {found}") from None
    knee = _choose(document.knees, slo_ms, file)
    return _instance(document, knee, file)


def _choose(knees: list[_Knee], slo_ms: float | None, file: Path) -> _Knee:
    usable = [knee for knee in knees if knee.max_rps and knee.mean_ms and slo_ms in (None, knee.slo_ms)]
    if not usable:
        measured = ", ".join(f"{knee.slo_ms:g} ms" for knee in knees if knee.max_rps) or "none"
        raise InvalidLoadTest(f"{file}: expected a knee for p99 ≤ {slo_ms or 'any'} ms; it holds: {measured}")
    return min(usable, key=lambda knee: knee.slo_ms)


def _instance(document: _Document, knee: _Knee, file: Path) -> Instance:
    closed = [cell for cell in document.cells if cell.concurrency]
    alone = [cell.p50_ms for cell in closed if cell.concurrency == 1 and cell.p50_ms]
    if not alone:
        raise InvalidLoadTest(
            f"{file}: expected a closed-loop cell at concurrency 1: run `absa bench --concurrency 1,8,32`"
        )
    assert knee.max_rps is not None and knee.mean_ms is not None  # noqa: PT018, S101  only such are chosen
    return Instance(
        max_rps=knee.max_rps,
        capacity_rps=max(knee.max_rps, *(cell.throughput_rps for cell in closed)),
        service_s=sorted(alone)[len(alone) // 2] / 1000,
        mean_latency_s=knee.mean_ms / 1000,
        reviews_per_request=document.texts_per_request,
        slo_ms=knee.slo_ms,
    )
