"""How much one request may ask for. Knows the numbers and the variables that set them, not where they are enforced."""

from dataclasses import dataclass

from absa_server.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, inclusive. Each check raises `InvalidRequest`, naming the variable and both numbers."""

    max_records: int
    max_text_chars: int
    max_aspects: int

    def check_records(self, count: int, *, path: str) -> None:
        """Refuse a request of more than `max_records` texts."""
        _check(count, self.max_records, path=path, what="records", variable="ABSA_MAX_RECORDS")

    def check_text(self, text: str, *, path: str) -> None:
        """Refuse a text of more than `max_text_chars` code points."""
        _check(len(text), self.max_text_chars, path=path, what="characters", variable="ABSA_MAX_TEXT_CHARS")

    def check_aspects(self, count: int, *, path: str) -> None:
        """Refuse more than `max_aspects` given aspects of one text."""
        _check(count, self.max_aspects, path=path, what="aspects", variable="ABSA_MAX_ASPECTS")


def _check(count: int, limit: int, *, path: str, what: str, variable: str) -> None:
    if count > limit:
        raise InvalidRequest(f"{path}: expected at most {limit} {what} ({variable}), got {count}")
