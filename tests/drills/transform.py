"""A batch transform job of many lines, some of them broken in different ways: every line has its line in the output.

Run by `make drill-transform`.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from local_sagemaker.documents import parse_definitions
from local_sagemaker.transform import run_transform
from local_sagemaker.transform_job import parse_job
from tests.drills.platform import container, images, read_texts
from tests.local_sagemaker.stand import configuration

LINES = "application/jsonlines"
# Fifty lines, no two of them broken in the same way.
BROKEN: list[bytes] = [
    *(
        b"",
        b" ",
        b"\t",
        b"\r",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'text'",
        b"nothing",
        b"NaN",
        b"null",
        b"true",
        b"17",
        b"-",
    ),
    *(
        b"[]",
        b"{}",
        b'""',
        b'" "',
        b'["a"]',
        b'{"text": 7}',
        b'{"text": null}',
        b'{"text": ""}',
        b'{"text": "\\u200b"}',
    ),
    *(b'{"text": ["a"]}', b'{"text": {"a": 1}}', b'{"texts": ["a"]}', b'{"txt": "a"}', b'{"text": "a", "b": 1}'),
    *(b'{"text": "a", "inputs": "b"}', b'{"text": "a"', b'{"text": "a"}}', b'{"text": "a",}', b'{text: "a"}'),
    *(b'{"text": "\\ud800"}', b'{"text": "\\x"}', b'{"text": "a\x01"}', b"\xff\xfe", b'{"text": "\xc3"}', b"\x00"),
    *(b'{"text": "a", "id": [1]}', b'{"text": "a", "aspects": "b"}', b'{"text": "a", "aspects": [7]}'),
    *(b'{"text": "a", "aspects": [{"start": 3, "end": 9}]}', b'{"text": "a", "parameters": 1}'),
    *(b'{"text": "a", "parameters": {"min_score": 2}}', b'{"text": "a", "parameters": {"model": "x"}}'),
    *(b"[" * 3000, b'{"text": "' + b"x" * 21_000 + b'"}'),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Lines in and out; where there are errors, and where there should be; ids of good lines in order."""

    lines_in: int
    lines_out: int
    errors: list[int]
    broken: list[int]
    is_in_order: bool
    seconds: float

    @property
    def is_right(self) -> bool:
        """One line for each, errors exactly where a line is broken."""
        return self.lines_in == self.lines_out and self.errors == self.broken and self.is_in_order


def write_input(path: Path, texts: Sequence[str], count: int) -> list[int]:
    """`count` lines of which as many as `BROKEN` are broken, evenly spread; the numbers of those."""
    every = count // len(BROKEN)
    broken = dict(zip(range(every // 2, count, every), BROKEN, strict=False))
    good = itertools.cycle(texts)
    with path.open("wb") as output:
        for number in range(count):
            line = json.dumps({"id": number, "text": next(good)}).encode()
            output.write(broken.get(number, line) + b"\n")
    return list(broken)


def drill(models: Path, texts: Sequence[str], work: Path, *, count: int, threads: str = "") -> Outcome:
    """Runs the job and reads its output."""
    broken = write_input(work / "input.jsonl", texts, count)
    models_described = [{"ModelName": "m", "PrimaryContainer": container(models)}]
    definitions = parse_definitions(configuration(images(threads), models_described), folder=work)
    document = {
        "TransformJobName": "drill",
        "ModelName": "m",
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 1,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 3600},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": str(work / "input.jsonl")}},
            "ContentType": LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": str(work / "out"), "Accept": LINES, "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1},
    }
    job = parse_job(document, definitions.models, folder=work)
    begin = time.monotonic()
    (written,) = asyncio.run(run_transform(job, folder=work))
    seconds = time.monotonic() - begin
    answers = [json.loads(line) for line in Path(written).read_bytes().splitlines()]
    errors = [number for number, answer in enumerate(answers) if "error" in answer]
    is_in_order = all(answer["id"] == number for number, answer in enumerate(answers) if "error" not in answer)
    return Outcome(count, len(answers), errors, broken, is_in_order, seconds)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    parser.add_argument("--texts", type=Path, required=True, help="JSON Lines with a text each")
    parser.add_argument("--lines", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, Console().status("transforming …"):
        outcome = drill(arguments.models, read_texts(arguments.texts), Path(work), count=arguments.lines)
    Console().print(
        f"{outcome.lines_in} lines in, {outcome.lines_out} out, in order: {outcome.is_in_order}; "
        f"{len(outcome.errors)} errors, {len(outcome.broken)} broken lines; {outcome.seconds:.0f} s"
    )
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
