"""A straight line through measurements, and how sure its slope is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class Trend:
    """Least squares: change of y for one of x, with the ends of its 95 % interval."""

    slope: float
    low: float
    high: float

    @property
    def is_upward(self) -> bool:
        """Whether it rises beyond doubt."""
        return self.low > 0


def trend(x: Sequence[float], y: Sequence[float]) -> Trend:
    """The trend of at least four points.

    Neighbours of a series are alike, and count as fewer measurements than they are: the interval is wider by
    sqrt((1 + r) / (1 - r)), r the correlation of each residual with the next.
    """
    at, value = np.asarray(x, float), np.asarray(y, float)
    centred = at - at.mean()
    spread = float(centred @ centred)
    slope = float(centred @ value / spread)
    residual = value - value.mean() - slope * centred
    power = float(residual @ residual)
    alike = min(0.99, max(0.0, float(residual[:-1] @ residual[1:]) / power)) if power else 0.0
    error = np.sqrt(power / (len(at) - 2) / spread * (1 + alike) / (1 - alike))
    return Trend(slope, float(slope - _TWO_SIDED_95 * error), float(slope + _TWO_SIDED_95 * error))
