"""`GET /execution-parameters`: how batch transform should call this container, from what it was measured to do.

Measured when it is first asked for, which a job does once before its first request: on all streams, as requests are.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from absa_server.absa.pipeline import Pipeline
from absa_server.errors import AbsaError
from absa_server.serving.service import Service
from absa_server.types import GivenAspect, Record

logger = logging.getLogger(__name__)

# CreateTransformJob allows this many MB in all requests under way on one instance together.
TOTAL_MB = 100
# A request of the largest payload is to be answered in half of 300 s: texts differ, and so do neighbours.
PAYLOAD_S = 150.0
_MIB = 1 << 20
_SENTENCE = "The food of place {} was great, but the service was slow."
_PORTION_RECORDS = 32
# Higher: a steadier figure, and a job that begins later.
_MEASURED_S = 1.0
_MEASURING_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bytes of text that all streams together answer in a second."""

    bytes_per_s: float


def transform_parameters(capacity: Capacity | None, *, max_payload_mb: int, streams: int) -> dict[str, object]:
    """The platform's own names. As large as is answered in time and allowed, then as many side by side as that leaves.

    All that is under way shares the streams, so it counts together. Without a measurement: the least that is allowed.
    """
    affordable_mb = 1.0 if capacity is None else capacity.bytes_per_s * PAYLOAD_S / _MIB
    concurrent = max(1, min(streams, TOTAL_MB, math.floor(affordable_mb)))
    size_mb = max(1, min(max_payload_mb, TOTAL_MB // concurrent, math.floor(affordable_mb / concurrent)))
    return {"MaxConcurrentTransforms": concurrent, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": size_mb}


class ExecutionParameters:
    """Lives on one event loop. `max_payload_mb`: the largest body that is read."""

    def __init__(
        self,
        service: Service,
        *,
        max_payload_mb: int,
        streams: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._service = service
        self._max_payload_mb = max_payload_mb
        self._streams = streams
        self._clock = clock
        self._capacity: Capacity | None = None
        self._turn = asyncio.Lock()

    async def read(self) -> dict[str, object]:
        """What to answer. Measures when nothing has been measured and a model is there; all who ask then share that."""
        async with self._turn:
            if self._capacity is None and (model := self._service.slot.model) is not None and model.code is None:
                self._capacity = await self._measured(model.pipeline)
        return transform_parameters(self._capacity, max_payload_mb=self._max_payload_mb, streams=self._streams)

    async def _measured(self, pipeline: Pipeline) -> Capacity | None:
        """None when the model fails or takes too long: the next one who asks measures again."""
        count, elapsed_s, begin_s = 0, 0.0, self._clock()
        try:
            async with asyncio.timeout(_MEASURING_LIMIT_S):
                while count == 0 or elapsed_s < _MEASURED_S:
                    await self._service.predict(pipeline, _records(pipeline, count))
                    count += _PORTION_RECORDS
                    elapsed_s = self._clock() - begin_s
        except (AbsaError, TimeoutError) as error:
            logger.warning("capacity_not_measured", extra={"reason": str(error) or type(error).__name__})
            return None
        capacity = Capacity(count * len(_SENTENCE) / elapsed_s)
        logger.info("capacity_measured", extra={"bytes_per_s": round(capacity.bytes_per_s), "texts": count})
        return capacity


def _records(pipeline: Pipeline, first: int) -> list[Record]:
    """Sentences no two of which are equal: equal ones would be answered once."""
    texts = [_SENTENCE.format(number) for number in range(first, first + _PORTION_RECORDS)]
    if pipeline.aspect is not None:
        return [Record(text) for text in texts]
    return [Record(text, aspects=(GivenAspect("food", 4, 8), GivenAspect("service"))) for text in texts]
