"""Analyses of texts seen before, bounded by bytes. Knows no request, no clock and no lock."""

from collections import OrderedDict

from absa_server.types import Analysis, GivenAspect, Mode, Record

Key = tuple[str, str, tuple[GivenAspect, ...] | None, Mode, float, bool]

# What Python's objects take beside their text: measured, rounded up.
_ENTRY_BYTES = 1000
_ASPECT_BYTES = 800
_CHAR_BYTES = 4  # the widest character decides for all of its string


class AnswerCache:
    """The least recently asked goes first. Not thread-safe: it belongs to the event loop.

    Keyed on all that an analysis depends on: the pipeline's version, the text, its given aspects and the options of the
    work; not on those of the answer (id, unit of offsets, whether the text is repeated).
    """

    def __init__(self, maxsize_bytes: int) -> None:
        self.maxsize_bytes = maxsize_bytes
        self.currsize_bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Key, Analysis] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, version: str, record: Record) -> Analysis | None:
        """The analysis that this version gave of such a record, if it is still here."""
        key = _key(version, record)
        analysis = self._entries.get(key)
        if analysis is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return analysis

    def put(self, version: str, record: Record, analysis: Analysis) -> None:
        """Keeps an analysis, unless it alone is larger than the cache."""
        key = _key(version, record)
        size_bytes = _size_bytes(key, analysis)
        if key in self._entries or size_bytes > self.maxsize_bytes:
            return
        self._entries[key] = analysis
        self.currsize_bytes += size_bytes
        while self.currsize_bytes > self.maxsize_bytes:
            self.currsize_bytes -= _size_bytes(*self._entries.popitem(last=False))


def _key(version: str, record: Record) -> Key:
    parameters = record.parameters
    return version, record.text, record.aspects, parameters.mode, parameters.min_score, record.truncated


def _size_bytes(key: Key, analysis: Analysis) -> int:
    chars = len(key[1]) + sum(len(given.term or "") for given in key[2] or ())
    terms = sum(len(aspect.term) for aspect in analysis.aspects)
    count = len(analysis.aspects) + len(key[2] or ())
    return _ENTRY_BYTES + _ASPECT_BYTES * count + _CHAR_BYTES * (chars + terms)
