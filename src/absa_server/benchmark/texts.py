"""Texts from a file, and the HTTP requests that carry them. Knows the body of `POST /invocations`; sends nothing."""

import json
import random
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absa_server.benchmark.errors import InvalidTarget, InvalidTexts

DEFAULT_PATH = "/invocations"


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """`host:port` as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """The target named by `http://host[:port][/path]`; the path is `/invocations` where none is given.

    Raises `InvalidTarget`: TLS would measure this machine's cryptography, so the generator speaks plain HTTP only.
    """
    try:
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidTarget(f"{url!r} is not a URL: {error}") from None
    if parts.scheme != "http" or not host or parts.query or parts.username:
        raise InvalidTarget(f"expected http://host:port/path, got {url!r}; TLS and queries are not supported")
    return Target(host, port or 80, parts.path if parts.path.strip("/") else DEFAULT_PATH)


def read_texts(file: Path, *, limit: int | None = None, seed: int = 1) -> list[str]:
    """Distinct texts of `file`, shuffled by `seed` so that any part of a run sees the same mix; at most `limit`.

    A file whose first line begins with `{` is JSON Lines with a field `text`; any other holds one text a line. Raises
    `InvalidTexts`.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTexts(f"{file}: cannot be read as UTF-8 text: {error}") from None
    is_json = next((line for line in lines if line.strip()), "").lstrip().startswith("{")
    texts = (_text(file, number, line) if is_json else line for number, line in enumerate(lines, 1) if line.strip())
    distinct = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not distinct:
        raise InvalidTexts(f"{file}: expected at least one text, found none")
    random.Random(seed).shuffle(distinct)  # noqa: S311  a mix that repeats, not a secret
    return distinct[:limit]


def _text(file: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, TypeError, KeyError):
        text = None
    if not isinstance(text, str):
        raise InvalidTexts(f'{file}:{number}: expected a JSON object with a string "text", got {line[:60]!r}')
    return text


def build_requests(target: Target, texts: Sequence[str], *, texts_per_request: int) -> list[bytes]:
    """Whole HTTP/1.1 requests, ready to be written; each carries `texts_per_request` texts, what is left over none.

    Built beforehand, so that the generator's share of the machine is small. Raises `InvalidTexts` for too few texts.
    """
    if texts_per_request == 1:
        return [_request(target, {"text": text}) for text in texts]
    groups = [texts[at : at + texts_per_request] for at in range(0, len(texts), texts_per_request)]
    whole = [group for group in groups if len(group) == texts_per_request]
    if not whole:
        raise InvalidTexts(f"{len(texts)} texts do not fill one request of {texts_per_request}; give more texts")
    return [_request(target, {"texts": list(group)}) for group in whole]


def _request(target: Target, document: object) -> bytes:
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return _head(target, ("Content-Type: application/json", f"Content-Length: {len(body)}")) + body


def _head(target: Target, headers: Iterable[str]) -> bytes:
    lines = (f"POST {target.path} HTTP/1.1", f"Host: {target.address}", "Accept: application/json", *headers, "", "")
    return "\r\n".join(lines).encode("ascii")
