"""The real server's answers over HTTP equal an independent reference: the small form of `tests.drills.reference`.

Always on tiny models; also on real ones, where REFERENCE_MODELS names a folder of them or the demo models are there.
"""

import json
import os
from itertools import cycle, islice
from pathlib import Path

import pytest
from rich.progress import Progress

from tests.drills.reference_answers import reference_answers
from tests.drills.reference_checks import ReferenceChecks
from tests.integration.server_process import ROOT

DEMO_MODELS = ROOT / ".demo" / "models"

STRANGE = (
    "  The food was great, the  staff was slow.",
    "the food was bad.\nthe food was great!\r\nWe came again.",
    "The café was lovely, the cafe\u0301 was lovely, and the décor was okay.",
    "🍕🍕 The spicy tuna roll 😀was great 👨‍👩‍👧 and the food😀 was bad 🍣",
    "食べ物は great、料理 was bad。The 寿司 was okay。",
    "The room-service wasn't slow; the chef's food (the staff's, too) was \"great.\" The screen was bad.",
    "The literal [SEP] was great and the [CLS] food [MASK] was [PAD] bad.",
    "well, the battery life was slow... the screen's battery-life was okay?! The 2nd screen cost £20.",
    "\ufeffThe staff was bad\u00a0. The\u200bfood was great\u2026 the decor\x00 was lovely.",
    "No aspect here.",
    "?",
)
CLAUSES = ("the spicy tuna roll was great", "the staff was slow", "we will come again", "the decor was okay",
           "the room service was bad", "my friends think the battery life was lovely")  # fmt: skip
# Where the CPU has bf16, auto takes it, and scores move by some 1e-2.
EXACT = {"ABSA_PRECISION": "f32"}


def texts() -> list[str]:
    """Strange texts; reviews of one to a hundred sentences; sentences of up to a hundred clauses, few with aspects."""
    reviews = [". ".join(islice(cycle(CLAUSES), length)) + "." for length in (1, 2, 3, 5, 8, 13, 21, 100)]
    fillers = ["we will come again"]
    sentences = [" and ".join(fillers * length + [*CLAUSES] + fillers * length) for length in (0, 1, 3, 10, 60)]
    return [*STRANGE, *reviews, *sentences]


def given_aspects(text: str) -> list[dict[str, int]]:
    """The first "food" and the first "staff" of the text."""
    found = [(text.find(term), len(term)) for term in ("food", "staff")]
    return [{"start": start, "end": start + length} for start, length in found if start >= 0]


@pytest.fixture(scope="module")
def records_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The texts as a file of records."""
    file = tmp_path_factory.mktemp("texts") / "strange.jsonl"
    records = [{"id": f"{number}", "text": text, "aspects": given_aspects(text)} for number, text in enumerate(texts())]
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def real_models() -> Path:
    """Models beyond the tiny ones, if this machine has any."""
    named = os.environ.get("REFERENCE_MODELS")
    if named is None and not DEMO_MODELS.is_dir():
        pytest.skip("REFERENCE_MODELS names no models, and there are no demo models (make demo)")
    return Path(named) if named else DEMO_MODELS


def check(url: str, models: Path, records_file: Path, cache: Path) -> ReferenceChecks:
    """Every check of the drill but the scores, which need labelled texts."""
    references = reference_answers(models, records_file, cache=cache)
    with Progress(disable=True) as progress:
        checks = ReferenceChecks(records_file, url, references, progress)
        checks.check_batches()
        checks.check_utf16()
        checks.check_given()
    return checks


def failures(checks: ReferenceChecks) -> dict[str, list[str]]:
    """What each failed check found."""
    return {
        f"{outcome.check} ({outcome.figure})": [f"{one.record_id}: {one.what}" for one in outcome.faults[:3]]
        for outcome in checks.outcomes
        if not outcome.is_passed
    }


def test_answers_equal_the_reference_with_tiny_models(start_server, tiny_models, records_file, tmp_path):
    """Spans, polarities, scores, order and `truncated`, for windows and cut sentences too, equal plain transformers."""
    with start_server(tiny_models, EXACT) as server:
        checks = check(server.url, tiny_models, records_file, tmp_path)
    assert failures(checks) == {}
    answers = [one.answer for one in checks.reference]
    assert sum(len(answer.aspects) for answer in answers) > len(answers)
    assert {answer.is_truncated for answer in answers} == {True, False}


def test_answers_equal_the_reference_with_real_models(start_server, records_file, tmp_path):
    """The same for models with a real vocabulary."""
    models = real_models()
    with start_server(models, EXACT) as server:
        assert failures(check(server.url, models, records_file, tmp_path)) == {}
