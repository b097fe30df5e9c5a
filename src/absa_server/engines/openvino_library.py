"""The OpenVINO library without its telemetry and with a small cache of kernels. Knows no model.

`import openvino` imports openvino-telemetry, which writes a client id into the home directory and reports the import
and every conversion to its maker. Where that package cannot be imported, OpenVINO uses a stub of its own: so it never
can.
"""

import os
import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"
# Kernels that oneDNN keeps for shapes seen before, for the whole process; its own default is 1,024. Fewer: compiled
# again, which int8 ones pay most for; more: memory (docs/engines.md has the figures).
_KERNELS_VARIABLE, _KEPT_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256"


def openvino() -> Any:  # noqa: ANN401  a module without types
    """The `openvino` module. Nothing else in this package may import it by name."""
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # the documented way to make an import fail
        os.environ.setdefault(_KERNELS_VARIABLE, _KEPT_KERNELS)  # read once, when the library first needs a kernel
    import openvino as library  # noqa: PLC0415  0.4 s and 25 MB, which the torch engine does not need

    return library
