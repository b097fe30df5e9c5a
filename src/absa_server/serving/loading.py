"""From a folder to a pipeline that can answer: files checked, models opened, engines loaded, one text tried."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from absa_server.absa.artifact import ROLE_FOLDERS, Artifact, open_artifact
from absa_server.absa.batches import BatchRunner
from absa_server.absa.checkpoint import Checkpoint
from absa_server.absa.classifier import Classifier
from absa_server.absa.extractor import Extractor
from absa_server.absa.pipeline import Pipeline
from absa_server.absa.stages import AspectStage, JointStage, SentimentStage
from absa_server.absa.tokenization import TextTokenizer
from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine, load_tokenizer
from absa_server.errors import InvalidModel
from absa_server.serving.guarded_engine import GuardedEngine
from absa_server.types import Engine, GivenAspect, Record
from model_loader import ArtifactError, open_folder
from model_loader.manifest import content_hash

logger = logging.getLogger(__name__)

_SELF_TEST = Record("The food was great, but the service was slow.", aspects=None)
_SELF_TEST_GIVEN = Record(_SELF_TEST.text, aspects=(GivenAspect("food", 4, 8),))


LoadEngine = Callable[[NetworkSource, EngineChoice], Engine]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks are run; see the settings of the same names. As it stands: in this process, without a cache.

    `load` is another than ours where the server around the engines is looked at alone (tests/drills/front.py).
    """

    choice: EngineChoice = field(default_factory=lambda: EngineChoice("torch"))
    batch_tokens: int = 4096
    max_aspects: int = 100
    load: LoadEngine = load_engine


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A pipeline and what it holds. `close` gives its memory back; nobody may be using it then.

    `engines` names what runs each of its networks.
    """

    pipeline: Pipeline
    kind: str
    resident_bytes: int
    close: Callable[[], None]
    engines: tuple[str, ...] = ()


def load_model(root: Path, options: EngineOptions) -> LoadedModel:
    """The artifact at `root`, loaded and tried on one sentence. Raises `InvalidModel` telling its owner what to fix."""
    started = time.monotonic()
    try:
        folder = open_folder(root, own_folders=ROLE_FOLDERS)
    except ArtifactError as error:
        raise InvalidModel(str(error)) from error
    artifact = open_artifact(folder.root)
    engines: list[Engine] = []
    try:
        pipeline = _build(artifact, options, engines)
        _self_test(pipeline)
    except BaseException:
        _close(engines)
        raise
    resident = sum(engine.resident_bytes for engine in engines)
    logger.info(
        "model_loaded",
        extra={
            "kind": artifact.kind,
            "seconds": round(time.monotonic() - started, 3),
            "resident_bytes": resident,
            "files_bytes": folder.size_bytes,
        },
    )
    names = tuple(engine.name for engine in engines)
    return LoadedModel(pipeline, artifact.kind, resident, lambda: _close(engines), names)


def _build(artifact: Artifact, options: EngineOptions, engines: list[Engine]) -> Pipeline:
    aspect, sentiment = _stages(artifact, options, engines)
    is_joint = artifact.tag_set is not None and artifact.tag_set.is_joint
    rater = sentiment or (JointStage(aspect) if aspect and is_joint else None)
    return Pipeline(aspect, rater, artifact.options.output, options.max_aspects)


def _stages(
    artifact: Artifact, options: EngineOptions, engines: list[Engine]
) -> tuple[AspectStage | None, SentimentStage | None]:
    """Both stages, side by side: most of a load is one thread's work. Their engines are in `engines` whatever happens.

    Conversions still follow one another (engines/conversion.py).
    """
    of_aspect: list[Engine] = []
    of_sentiment: list[Engine] = []
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="model-load") as beside:  # its end waits, also for a failure
            load = partial(_sentiment_stage, artifact, options=options, engines=of_sentiment)
            sentiment = beside.submit(load, artifact.sentiment) if artifact.sentiment else None
            aspect = _aspect_stage(artifact, artifact.aspect, options, of_aspect) if artifact.aspect else None
            return aspect, sentiment.result() if sentiment else None
    finally:
        engines += of_aspect + of_sentiment


def _aspect_stage(
    artifact: Artifact, checkpoint: Checkpoint, options: EngineOptions, engines: list[Engine]
) -> AspectStage:
    if artifact.tag_set is None:  # for the type checker: an aspect checkpoint always comes with its tags
        raise InvalidModel("the aspect model has no tags")
    section = artifact.options.aspect
    extractor = Extractor(
        tokenizer=_tokenizer(checkpoint, options),
        tag_set=artifact.tag_set,
        max_tokens=checkpoint.max_tokens,
        overlap=section.stride,
        word_level=section.word_level,
        lowercase=section.lowercase,
    )
    return AspectStage(extractor, _runner(checkpoint, options, engines), section.min_score)


def _sentiment_stage(
    artifact: Artifact, checkpoint: Checkpoint, options: EngineOptions, engines: list[Engine]
) -> SentimentStage:
    section = artifact.options.sentiment
    classifier = Classifier(
        tokenizer=_tokenizer(checkpoint, options),
        labels=artifact.polarity_labels,
        max_tokens=checkpoint.max_tokens,
        is_pair=section.kind == "pair",
        aspect_first=section.order[0] == "aspect",
        template=section.template,
        markers=section.markers,
        activation=section.activation,
        context=section.context,
    )
    return SentimentStage(classifier, _runner(checkpoint, options, engines))


def _tokenizer(checkpoint: Checkpoint, options: EngineOptions) -> TextTokenizer:
    return TextTokenizer(checkpoint.tokenizer_json or load_tokenizer(_source(checkpoint), options.choice))


def _runner(checkpoint: Checkpoint, options: EngineOptions, engines: list[Engine]) -> BatchRunner:
    engine = options.load(_source(checkpoint), options.choice)
    engine = cast("Engine", GuardedEngine(engine))
    engines.append(engine)
    return BatchRunner(engine, checkpoint.pad_token_id, checkpoint.uses_token_types, options.batch_tokens)


def _source(checkpoint: Checkpoint) -> NetworkSource:
    content = partial(content_hash, checkpoint.folder)
    return NetworkSource(checkpoint.folder, content, checkpoint.task, len(checkpoint.id2label))


def _self_test(pipeline: Pipeline) -> None:
    """A model that cannot answer one sentence is found now, not by the first caller. Raises `InvalidModel`."""
    # The given aspect as well: a tagger that finds nothing here would leave the second stage untried.
    records = [_SELF_TEST] * (pipeline.aspect is not None) + [_SELF_TEST_GIVEN] * (pipeline.rater is not None)
    try:
        analyses = pipeline.analyze(records)
    except Exception as error:  # whatever a broken model makes its engine or decoder raise
        raise InvalidModel(f"the model loads but fails on a plain sentence: {error}") from error
    refusals = [analysis for analysis in analyses if isinstance(analysis, Exception)]
    if refusals:
        raise InvalidModel(f"the model loads but refuses a plain sentence: {refusals[0]}")


def _close(engines: list[Engine]) -> None:
    while engines:
        engines.pop().close()
