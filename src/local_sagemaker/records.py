"""An input object to the bodies of requests, and their answers to the output object. Pure; knows lines and bytes.

Sources: developer guide, "Use Batch Transform", and the API's CreateTransformJob.
"""

from collections.abc import Iterable, Iterator, Sequence

from local_sagemaker.errors import TransformFailed


def split_lines(content: bytes) -> list[bytes]:
    """The lines without their ends; what follows a last line end is not a line."""
    lines = content.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def batches(records: Sequence[bytes], *, max_bytes: int | None, is_multi: bool) -> Iterator[list[bytes]]:
    """Consecutive records that go into one request: as many as `max_bytes` hold with their line ends, or one each.

    Raises `TransformFailed` for a record that is too large alone.
    """
    batch: list[bytes] = []
    size = 0
    for number, record in enumerate(records, start=1):
        length = len(record) + 1
        if max_bytes is not None and length > max_bytes:
            raise TransformFailed(f"record {number}: expected at most {max_bytes} bytes (MaxPayloadInMB), got {length}")
        if batch and (not is_multi or (max_bytes is not None and size + length > max_bytes)):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def body_of(batch: Sequence[bytes], *, is_multi: bool) -> bytes:
    """A request's body: lines with their ends; a single record comes without."""
    return b"".join(record + b"\n" for record in batch) if is_multi else b"".join(batch)


def answered_lines(answer: bytes, *, count: int) -> list[bytes]:
    """One line for each of `count` records. Raises `TransformFailed` when there are more or fewer."""
    lines = split_lines(answer)
    if len(lines) != count:
        raise TransformFailed(f"expected one line for each of {count} records, got {len(lines)}; they cannot be joined")
    return lines


def assembled(answers: Iterable[bytes], *, is_by_line: bool) -> bytes:
    """The output object: answers one after another, with AssembleWith=Line each of them ended by a line end."""
    if not is_by_line:
        return b"".join(answers)
    return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers)
