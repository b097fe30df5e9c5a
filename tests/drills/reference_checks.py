"""What is checked of a server's answers to one file of texts: each check asks the server and notes what differs.

Knows how to ask and what to count; what is compared, and how closely, stands in tests/reference/comparison.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress

from tests.drills.reference_answers import Labelled, read_records
from tests.reference.comparison import (
    Difference,
    check_edges,
    check_utf16,
    compare,
    compare_answers,
    compare_rating,
    largest_score_difference,
)
from tests.reference.questions import ask

RECORDS_A_REQUEST = (1, 8, 32)
SHUFFLE_SEED = 1

Records = Sequence[dict[str, Any]]
Answers = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the table. `figure` is what was measured, for people."""

    texts: str
    check: str
    figure: str
    differences: tuple[Difference, ...] = ()
    is_met: bool = True

    @property
    def faults(self) -> list[Difference]:
        """The differences that no near tie explains."""
        return [one for one in self.differences if not one.is_near_tie]

    @property
    def is_passed(self) -> bool:
        """Whether nothing differs and the figure is high enough."""
        return self.is_met and not self.faults


@dataclass(slots=True)
class ReferenceChecks:
    """One set of texts on one server. Each check appends its outcomes."""

    file: Path
    url: str
    reference: Sequence[Labelled]
    progress: Progress
    outcomes: list[Outcome] = field(default_factory=list)
    records: Records = field(init=False)

    def __post_init__(self) -> None:
        self.records = read_records(self.file)

    def ask(self, what: str, records: Records, size: int, **parameters: str) -> Answers:
        """The server's answers to `records`, `size` a request."""
        task = self.progress.add_task(f"{self.file.stem}: {what}", total=len(records))
        return ask(
            self.url, records, records_a_request=size, parameters=parameters,
            done=lambda count: self.progress.advance(task, count),
        )  # fmt: skip

    def check_batches(self) -> Answers:
        """Answers equal the reference, and each other in requests of several sizes and in another order."""
        first: Answers = ()
        for size in RECORDS_A_REQUEST:
            answers = self.ask(f"{size} a request", self._texts(), size)
            first = first or answers
            self._add_equal(f"{size} a request", answers, first)
        shuffled = random.Random(SHUFFLE_SEED).sample(range(len(self.records)), len(self.records))
        answers = self.ask("shuffled", [self._texts()[place] for place in shuffled], RECORDS_A_REQUEST[-1])
        self._add_equal("shuffled", [answer for _, answer in sorted(zip(shuffled, answers, strict=True))], first)
        self._add(
            "words stay whole", f"{_aspects(first)} terms", lambda place: check_edges(*self._row(place), first[place])
        )
        return first

    def check_utf16(self) -> None:
        """Offsets in UTF-16 code units cut the terms out of the text's UTF-16 encoding."""
        answers = self.ask("utf16", self._texts(), RECORDS_A_REQUEST[-1], offsets="utf16", mode="aspects")
        self._add(
            "utf16 offsets",
            f"{_aspects(answers)} terms",
            lambda place: check_utf16(*self._row(place), answers[place], self.reference[place].answer),
        )

    def check_given(self) -> Answers:
        """Polarities of the aspects that the file gives equal the reference's."""
        given = [
            text | {"aspects": [{"start": one["start"], "end": one["end"]} for one in record["aspects"]]}
            for text, record in zip(self._texts(), self.records, strict=True)
        ]
        answers = self.ask("given aspects", given, RECORDS_A_REQUEST[-1], mode="sentiment")
        self._add(
            "given aspects = reference",
            f"{_aspects(answers)} aspects",
            lambda place: [
                difference
                for found, wanted in zip(answers[place]["aspects"], self.reference[place].given, strict=True)
                for difference in compare_rating(self.records[place]["id"], found, wanted)
            ],
        )
        return answers

    def add_figure(self, check: str, value: float, count: int, least: float) -> None:
        """A score of the answers, which must reach `least`."""
        figure = f"{value:.4f} (at least {least}; n = {count})"
        self._note(Outcome(self.file.stem, check, figure, is_met=value >= least))

    def _add_equal(self, name: str, answers: Answers, first: Answers) -> None:
        reference = [one.answer for one in self.reference]
        farthest = max(map(largest_score_difference, answers, reference))
        self._add(
            f"{name} = reference",
            f"{_aspects(answers)} aspects, scores within {farthest:.2e}",
            lambda place: compare(self.records[place]["id"], answers[place], reference[place]),
        )
        if answers is not first:
            self._add(
                f"{name} = {RECORDS_A_REQUEST[0]} a request",
                f"{len(answers)} texts",
                lambda place: compare_answers(self.records[place]["id"], first[place], answers[place]),
            )

    def _add(self, check: str, figure: str, differences: Callable[[int], Iterable[Difference]]) -> None:
        found = [difference for place in range(len(self.records)) for difference in differences(place)]
        self._note(Outcome(self.file.stem, check, figure, tuple(found)))

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        verdict = "passed" if outcome.is_passed else "FAILED"
        self.progress.console.print(f"{outcome.texts}: {outcome.check}: {outcome.figure}: {verdict}")

    def _texts(self) -> Records:
        return [{"id": record["id"], "text": record["text"]} for record in self.records]

    def _row(self, place: int) -> tuple[str, str]:
        return self.records[place]["id"], self.records[place]["text"]


def _aspects(answers: Answers) -> int:
    return sum(len(answer["aspects"]) for answer in answers)
