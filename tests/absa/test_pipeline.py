"""The chain over engines that answer as told: any mix of records, in input order, and what each artifact refuses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.batches import BatchRunner
from absa_server.absa.classifier import Classifier, PolarityLabel
from absa_server.absa.extractor import Extractor
from absa_server.absa.labels import parse_tags
from absa_server.absa.pipeline import Pipeline
from absa_server.absa.stages import AspectStage, JointStage, SentimentStage
from absa_server.absa.tokenization import TextTokenizer
from absa_server.errors import DeadlineExceeded, InvalidRequest
from absa_server.types import Analysis, Aspect, FloatArray, GivenAspect, IntArray, Parameters, Record

LABELS = (PolarityLabel("Negative", "negative"), PolarityLabel("Positive", "positive"))
TextTokenizers = Callable[[str], TextTokenizer]


class TaggingEngine:
    """Logits of each token by its id alone; those not told are surely outside."""

    resident_bytes = 0
    is_padding_free = False

    def __init__(self, rows: dict[int, list[float]]) -> None:
        labels = len(next(iter(rows.values())))
        self._table = np.tile(np.array([4.0] + [0.0] * (labels - 1), np.float32), (1000, 1))
        for number, row in rows.items():
            self._table[number] = row
        self.rows = 0

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        self.rows += len(input_ids)
        return self._table[input_ids]

    def close(self) -> None:
        return None


class RatingEngine:
    """Positive where the row holds the id of a praise, negative elsewhere."""

    resident_bytes = 0
    is_padding_free = False

    def __init__(self, praise: int) -> None:
        self._praise = praise
        self.rows = 0

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        self.rows += len(input_ids)
        is_praise = ((input_ids == self._praise) & (attention_mask == 1)).any(axis=1)
        return np.where(is_praise[:, None], [[-2.0, 2.0]], [[2.0, -2.0]]).astype(np.float32)

    def close(self) -> None:
        return None


def _id(tokenizer: TextTokenizer, word: str) -> int:
    [tokens] = tokenizer.encode([word])
    assert len(tokens) == 1
    return int(tokens.ids[0])


@pytest.fixture
def tokenizer(text_tokenizer: TextTokenizers) -> TextTokenizer:
    """BERT's, which knows `food`, `the` and `waiter` as words."""
    return text_tokenizer("bert")


@pytest.fixture
def aspect_stage(tokenizer: TextTokenizer) -> AspectStage:
    """Tags `food` and `waiter`, the latter less surely."""
    tags = parse_tags({0: "O", 1: "B-ASP", 2: "I-ASP"})
    engine = TaggingEngine({_id(tokenizer, "food"): [0, 4, 0], _id(tokenizer, "waiter"): [0, 1, 0]})
    return AspectStage(Extractor(tokenizer, tags, max_tokens=32, overlap=8), BatchRunner(engine, 0, False, 256))


@pytest.fixture
def sentiment_stage(tokenizer: TextTokenizer) -> SentimentStage:
    """Praise is the sign `+`."""
    engine = RatingEngine(_id(tokenizer, "+"))
    return SentimentStage(Classifier(tokenizer, LABELS, max_tokens=32), BatchRunner(engine, 0, False, 256))


@pytest.fixture
def joint_stage(tokenizer: TextTokenizer) -> AspectStage:
    """Tags `food` as positive and `waiter` as negative."""
    tags = parse_tags({0: "O", 1: "B-POS", 2: "B-NEG", 3: "I-POS", 4: "I-NEG"})
    engine = TaggingEngine({_id(tokenizer, "food"): [0, 4, 0, 0, 0], _id(tokenizer, "waiter"): [0, 0, 4, 0, 0]})
    return AspectStage(Extractor(tokenizer, tags, max_tokens=32), BatchRunner(engine, 0, False, 256))


@pytest.fixture
def chain(aspect_stage: AspectStage, sentiment_stage: SentimentStage) -> Pipeline:
    return Pipeline(aspect_stage, sentiment_stage, OutputSection())


def _answers(pipeline: Pipeline, *records: Record) -> list[Analysis]:
    answers = pipeline.analyze(records)
    assert len(answers) == len(records)
    return [answer for answer in answers if isinstance(answer, Analysis)]


def _brief(analysis: Analysis) -> list[tuple[str, str | None]]:
    return [(aspect.term, aspect.polarity) for aspect in analysis.aspects]


def test_chain_rates_what_it_finds(chain: Pipeline) -> None:
    """Each aspect by its own sentence, with offsets, scores and both names of its polarity."""
    [analysis] = _answers(chain, Record("food + !\nthe waiter - again"))
    assert _brief(analysis) == [("food", "positive"), ("waiter", "negative")]
    food = analysis.aspects[0]
    assert (food.start, food.end, food.label) == (0, 4, "Positive")
    assert food.score == pytest.approx(0.9647, abs=1e-4)
    assert food.scores == {"negative": pytest.approx(0.018, abs=1e-3), "positive": pytest.approx(0.982, abs=1e-3)}
    assert food.polarity_score == food.scores["positive"]
    assert not analysis.truncated


def test_mixed_records_are_answered_in_order(chain: Pipeline) -> None:
    """Found, given, empty, refused and aspect-only records side by side: one answer each, at its place."""
    answers = chain.analyze(
        [
            Record("food +"),
            Record("the waiter", parameters=Parameters(mode="sentiment")),
            Record("the screen + and the screen", aspects=(GivenAspect("screen"),)),
            Record("nothing"),
            Record("food +", parameters=Parameters(mode="aspects")),
            Record("food +", aspects=()),
            Record("waiter"),
        ]
    )
    assert [_brief(answer) if isinstance(answer, Analysis) else None for answer in answers] == [
        [("food", "positive")],
        None,
        [("screen", "positive"), ("screen", "positive")],
        [],
        [("food", None)],
        [],
        [("waiter", "negative")],
    ]
    assert isinstance(answers[1], InvalidRequest)
    assert answers[1].message.startswith("aspects: missing")


def test_answers_do_not_depend_on_company_or_order(chain: Pipeline) -> None:
    """A record gets the same answer alone, among others, and from the other end."""
    records = [Record(f"the {'food' if i % 2 else 'waiter'} {'+ ' * (i % 3)}{'again ' * i}") for i in range(20)]
    together = _answers(chain, *records)
    assert together == [_answers(chain, record)[0] for record in records]
    assert together == _answers(chain, *reversed(records))[::-1]


def test_given_aspects_skip_the_first_stage(chain: Pipeline, aspect_stage: AspectStage) -> None:
    """In chain and in sentiment mode alike; without an occurrence there is one entry without a place."""
    for mode in ("chain", "sentiment"):
        [analysis] = _answers(
            chain,
            Record(
                "the food +", None, (GivenAspect("price"), GivenAspect(None, 4, 8)), parameters=Parameters(mode=mode)
            ),
        )
        assert _brief(analysis) == [("price", "positive"), ("food", "positive")]
        assert [(aspect.start, aspect.end) for aspect in analysis.aspects] == [(None, None), (4, 8)]
    assert aspect_stage.runner.engine.rows == 0  # type: ignore[attr-defined]


def test_least_score_is_the_stricter_of_owner_and_caller(aspect_stage: AspectStage) -> None:
    """Aspects below either limit are left out; those exactly at it stay."""
    pipeline = Pipeline(aspect_stage, None, OutputSection())
    [everything] = _answers(pipeline, Record("food waiter"))
    scores = [aspect.score for aspect in everything.aspects]
    assert scores == [pytest.approx(0.9647, abs=1e-4), pytest.approx(0.5761, abs=1e-4)]
    least = Parameters(min_score=scores[1] or 0)
    assert len(_answers(pipeline, Record("food waiter", parameters=least))[0].aspects) == 2
    above = Parameters(min_score=(scores[1] or 0) + 1e-6)
    assert len(_answers(pipeline, Record("food waiter", parameters=above))[0].aspects) == 1
    owner = Pipeline(AspectStage(aspect_stage.extractor, aspect_stage.runner, 0.7), None, OutputSection())
    assert len(_answers(owner, Record("food waiter"))[0].aspects) == 1


def test_text_cut_for_the_second_stage_is_told(chain: Pipeline) -> None:
    """One aspect with less than its sentence makes its text truncated, and no other; an earlier cut stays told."""
    long = "the food " + "again " * 40
    answers = _answers(chain, Record(long), Record("food"), Record("food", truncated=True))
    assert [answer.truncated for answer in answers] == [True, False, True]


def test_long_text_is_read_in_windows_and_not_called_cut(aspect_stage: AspectStage) -> None:
    """Stage one sees all of any text."""
    [analysis] = _answers(Pipeline(aspect_stage, None, OutputSection()), Record("again " * 100 + "food"))
    assert _brief(analysis) == [("food", None)]
    assert not analysis.truncated


def test_joint_tagger_is_a_whole_pipeline(joint_stage: AspectStage) -> None:
    """Its own tags rate what it finds and what it is given; in mode aspects it says nothing of polarity."""
    pipeline = Pipeline(joint_stage, JointStage(joint_stage), OutputSection())
    assert not pipeline.is_aspect_only
    found, given, only = _answers(
        pipeline,
        Record("food waiter"),
        Record("the waiter", aspects=(GivenAspect(None, 4, 10),)),
        Record("food waiter", parameters=Parameters(mode="aspects")),
    )
    assert _brief(found) == [("food", "positive"), ("waiter", "negative")]
    assert _brief(given) == [("waiter", "negative")]
    assert _brief(only) == [("food", None), ("waiter", None)]
    assert all(aspect.label is aspect.scores is aspect.polarity_score is None for aspect in only.aspects)


def test_sentiment_model_beside_a_joint_tagger_has_the_say(
    joint_stage: AspectStage, sentiment_stage: SentimentStage
) -> None:
    """With two models the second rates, whatever the tags say."""
    pipeline = Pipeline(joint_stage, sentiment_stage, OutputSection())
    [analysis] = _answers(pipeline, Record("the waiter +"))
    assert [(aspect.term, aspect.label) for aspect in analysis.aspects] == [("waiter", "Positive")]


def test_second_joint_tagger_rates_what_the_first_finds(joint_stage: AspectStage, tokenizer: TextTokenizer) -> None:
    """Of two joint taggers in a chain the second has the say, as any sentiment model has."""
    engine = TaggingEngine({_id(tokenizer, "food"): [0, 0, 4, 0, 0]})  # negative, where the first says positive
    other = replace(joint_stage, runner=BatchRunner(engine, 0, False, 256))
    pipeline = Pipeline(joint_stage, JointStage(other), OutputSection())
    [analysis] = _answers(pipeline, Record("food"))
    assert _brief(analysis) == [("food", "negative")]


def test_sentiment_model_alone_needs_given_aspects(sentiment_stage: SentimentStage) -> None:
    """Without them the record is refused by the name of what is missing."""
    pipeline = Pipeline(None, sentiment_stage, OutputSection())
    refused, rated = pipeline.analyze([Record("food +"), Record("food +", aspects=(GivenAspect("food"),))])
    assert isinstance(refused, InvalidRequest)
    assert refused.message == "aspects: missing; this model has no aspect stage and rates only given aspects"
    assert isinstance(rated, Analysis)
    assert _brief(rated) == [("food", "positive")]


def test_aspect_model_alone_answers_aspects_only(aspect_stage: AspectStage) -> None:
    """Found and given aspects pass without polarity; mode sentiment is refused."""
    pipeline = Pipeline(aspect_stage, None, OutputSection())
    assert pipeline.is_aspect_only
    found, given, refused = pipeline.analyze(
        [
            Record("food +"),
            Record("food +", aspects=(GivenAspect("food", score=0.3, category="c", label="l"),)),
            Record("food +", aspects=(), parameters=Parameters(mode="sentiment")),
        ]
    )
    assert isinstance(found, Analysis)
    assert _brief(found) == [("food", None)]
    assert isinstance(given, Analysis)
    assert given.aspects == (Aspect("food", 0, 4, 0.3, "c", "l"),)
    assert isinstance(refused, InvalidRequest)
    assert refused.message.startswith("parameters.mode: sentiment")


def test_output_section_decides_what_leaves(chain: Pipeline) -> None:
    """Scores and categories are left out where the artifact's owner wants none."""
    record = Record("food +", aspects=(GivenAspect("food", category="Food"),))
    assert _answers(chain, record)[0].aspects[0].category == "Food"
    quiet = Pipeline(chain.aspect, chain.rater, OutputSection(scores=False, categories=False))
    [aspect] = _answers(quiet, record)[0].aspects
    assert aspect.scores is aspect.category is None
    assert aspect.polarity_score is not None


def test_check_runs_before_each_batch_of_both_stages(chain: Pipeline) -> None:
    """A deadline that passes between the stages stops the second one."""
    calls: list[int] = []

    def check() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise DeadlineExceeded("too late", retry_after_s=1)

    with pytest.raises(DeadlineExceeded):
        chain.analyze([Record("food +")], check)
    assert len(calls) == 2


def test_no_records_are_no_work(chain: Pipeline) -> None:
    """Nothing in, nothing out."""
    assert chain.analyze([]) == []
