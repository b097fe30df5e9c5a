"""The memory that loading an artifact takes, measured in a process of its own.

    python -m absa_server.packaging.load_memory <artifact> <precision>

One JSON line on stdout: `resident_bytes` that a load adds and keeps once it has answered on every stream, rested, and
answered a sentence again; `peak_bytes` that it adds at most until it can answer. What libraries take once a process is
not counted: the second of two loads is measured. Streams and threads are the server's defaults.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from absa_server.engines.cores import available_cores
from absa_server.engines.factory import EngineChoice
from absa_server.engines.memory import return_free_memory
from absa_server.engines.openvino import rest_engines
from absa_server.engines.precision import Precision
from absa_server.packaging.child import answer, run_child
from absa_server.serving.loading import EngineOptions, LoadedModel, load_model, plain_records
from model_loader import Footprint

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_TIMEOUT_S = 600
_MODULE = "absa_server.packaging.load_memory"
# Rows of a batch that a model answers before it is measured: weights are arranged once more for batches of many tokens.
_ROWS = 16
# Figures are rounded up to this.
_STEP_BYTES = 1 << 20


def measure_load(artifact: Path, precision: Precision) -> Footprint:
    """What loading `artifact` in that precision takes. Raises `MeasurementFailed`."""
    told = run_child(_MODULE, str(artifact), precision, timeout_s=_TIMEOUT_S)
    return Footprint.of(told["resident_bytes"], peak_bytes=told["peak_bytes"])


def _measure(artifact: Path, precision: Precision) -> dict[str, int]:
    streams = available_cores()
    options = EngineOptions(
        EngineChoice("openvino", precision=precision, streams=streams, threads=1), batch_tokens=1024
    )
    first = load_model(artifact, options)
    _use(first, streams)
    first.close()
    return_free_memory()
    before, peak_before = _status_bytes("VmRSS"), _start_peak()
    model = load_model(artifact, options)
    peak = _peak_bytes() - peak_before
    _use(model, streams)
    rest_engines()
    model.pipeline.analyze(plain_records(model.pipeline))
    return_free_memory()
    resident = _status_bytes("VmRSS") - before
    model.close()
    return {"resident_bytes": _rounded(resident), "peak_bytes": _rounded(max(peak, resident))}


def _use(model: LoadedModel, streams: int) -> None:
    """Answers on all streams, one sentence a batch and many."""
    records = plain_records(model.pipeline)
    for batch in (records, records * _ROWS):
        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(model.pipeline.analyze, [batch] * (2 * streams)))


def _start_peak() -> int:
    """Forgets the highest resident memory so far; what it is now."""
    _CLEAR_REFS.write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    """The kernel's high-water mark."""
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    """A figure of the kernel's, pages of mapped files included: they are read while a network is compiled, and used."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10


def _rounded(size: int) -> int:
    return -(-max(size, 1) // _STEP_BYTES) * _STEP_BYTES


def main(arguments: list[str]) -> None:
    """One measurement, printed."""
    artifact, precision = arguments
    answer(_measure(Path(artifact), cast("Precision", precision)))


if __name__ == "__main__":
    main(sys.argv[1:])
