"""Content-Type and Accept: which format a body has, and which one its answer gets. Knows header syntax, no format.

Syntax and precedence: RFC 9110, sections 8.3 and 12.5.1. SageMaker passes both headers on as the client wrote them,
and in a pipeline the Content-Type of one container's answer, parameters included, to the next container.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from absa_server.errors import NotAcceptable, UnsupportedMediaType
from absa_server.http.wording import one_of, shown

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
PLAIN_TEXT = "text/plain"

_JSON_LINES_ALIASES = ("application/x-ndjson", "application/x-jsonlines")
_READ = {JSON: JSON, JSON_LINES: JSON_LINES, CSV: CSV, PLAIN_TEXT: PLAIN_TEXT} | dict.fromkeys(
    _JSON_LINES_ALIASES, JSON_LINES
)
_WRITTEN = (JSON, JSON_LINES, CSV, *_JSON_LINES_ALIASES)
_LINES = (JSON_LINES, *_JSON_LINES_ALIASES)
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}

# A separator inside a quoted string separates nothing; a quote that is never closed runs to the end.
_PARTS = {separator: re.compile(rf'(?:[^"{separator}]|"(?:\\.|[^"\\])*"?)+') for separator in ",;"}
_RANGE = re.compile(r"(\*)/(\*)|([\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """`type` in lower case (`text/csv`), `params` by lower-case name, their values unquoted."""

    type: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Range:
    """One part of an Accept header: a type, `text/*` or `*/*`, and how much it is wanted."""

    type: str
    quality: float
    order: int

    @property
    def specificity(self) -> int:
        return 2 - self.type.count("*")

    @property
    def rank(self) -> tuple[float, int, int]:
        return self.quality, self.specificity, -self.order

    def matches(self, offer: str) -> bool:
        return self.type in (offer, f"{offer.partition('/')[0]}/*", "*/*")


def parse_media_type(header: str) -> MediaType:
    """The parts of a Content-Type, or of one element of Accept. What cannot be a parameter is passed over."""
    name, *parameters = _PARTS[";"].findall(header) or [""]
    params: dict[str, str] = {}
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        if equals and key.strip():
            params.setdefault(key.strip().lower(), _unquoted(value.strip()))
    return MediaType(name.strip().lower(), params)


def request_type(content_type: str | None) -> str:
    """The one of four formats that a body is read as. A missing or empty header means JSON.

    Raises `UnsupportedMediaType` for any other type, and for a charset other than UTF-8 or its subset US-ASCII.
    """
    if content_type is None or not content_type.strip():
        return JSON
    if content_type in _READ:  # as nearly everybody writes it: nothing to take apart
        return _READ[content_type]
    media_type = parse_media_type(content_type)
    if media_type.type not in _READ:
        raise UnsupportedMediaType(f"Content-Type: expected {one_of(_READ)}, got {shown(media_type.type)}")
    charset = media_type.params.get("charset", "utf-8")
    if charset.lower() not in _CHARSETS:
        raise UnsupportedMediaType(f"Content-Type: charset: expected utf-8, got {shown(charset)}")
    return _READ[media_type.type]


def default_type(configured: str | None, request_type: str, *, is_batch: bool = False) -> str:
    """What an answer is written as where Accept leaves it open.

    `configured` is SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT. Without it lines are answered by lines, because a batch
    transform job joins input and output line by line, and everything else by JSON; in such a job (`is_batch`) CSV is
    answered by CSV for the same reason.
    """
    if configured is not None and configured.strip():
        return configured.strip().lower()
    if is_batch and request_type == CSV:
        return CSV
    return JSON_LINES if request_type == JSON_LINES else JSON


def negotiate(accept: str | None, default: str) -> str:
    """The Content-Type of the answer: what Accept wants most of what is written, else `default` where it is open.

    Of equal quality the more specific element wins, then the earlier one. Elements that cannot be read are passed
    over. JSON Lines is answered by whichever of its names was asked for. Raises `NotAcceptable`.
    """
    if accept in (None, default, "*/*"):  # as nearly everybody writes it: nothing to weigh
        return default
    elements = [element for element in _PARTS[","].findall(accept or "") if element.strip()]
    if not elements:
        return default
    ranges = [found for order, element in enumerate(elements) if (found := _parse_range(element, order)) is not None]
    offers = (default, *(written for written in _WRITTEN if written != default))
    wanted = [(found.rank, offer) for offer in offers if (found := _governing(ranges, offer)) and found.quality > 0]
    if not wanted:
        raise NotAcceptable(f"Accept: expected {one_of(_WRITTEN)}, got {shown(accept)}")
    return max(wanted, key=lambda choice: choice[0])[1]


def negotiate_lines(accept: str | None) -> str:
    """The name of JSON Lines that Accept wants, for an answer that has no other form. Raises `NotAcceptable`."""
    written = negotiate(accept, JSON_LINES)
    if written in _LINES:
        return written
    # JSON or CSV is wanted more; lines may be wanted as well.
    elements = [element for element in _PARTS[","].findall(accept or "") if element.strip()]
    ranges = [found for order, element in enumerate(elements) if (found := _parse_range(element, order)) is not None]
    wanted = [offer for offer in _LINES if (found := _governing(ranges, offer)) and found.quality > 0]
    if not wanted:
        raise NotAcceptable(f"Accept: expected {one_of(_LINES)}, which a streamed answer is, got {shown(accept)}")
    return wanted[0]


def _governing(ranges: list[_Range], offer: str) -> _Range | None:
    """The most specific element that speaks of `offer`: `*/*;q=1` does not revive what `text/csv;q=0` refused."""
    return max(
        (found for found in ranges if found.matches(offer)),
        key=lambda found: (found.specificity, *found.rank),
        default=None,
    )


def _parse_range(element: str, order: int) -> _Range | None:
    media_type = parse_media_type(element)
    # Java's HttpURLConnection asks for "*; q=.2" when nobody tells it what to ask for.
    name = "*/*" if media_type.type == "*" else media_type.type
    quality = _quality(media_type.params.get("q", "1"))
    if quality is None or not _RANGE.fullmatch(name):
        return None
    return _Range(name, quality, order)


def _quality(value: str) -> float | None:
    try:
        quality = float(value)
    except ValueError:
        return None
    return quality if 0 <= quality <= 1 else None


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:].removesuffix('"'))
