"""The OpenVINO library without its telemetry. Knows no model.

`import openvino` imports openvino-telemetry, which writes a client id into the home directory and reports the import
and every conversion to its maker. Where that package cannot be imported, OpenVINO uses a stub of its own: so it never
can.
"""

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


def openvino() -> Any:  # noqa: ANN401  a module without types
    """The `openvino` module. Nothing else in this package may import it by name."""
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # the documented way to make an import fail
    import openvino as library  # noqa: PLC0415  0.4 s and 25 MB, which the torch engine does not need

    return library
