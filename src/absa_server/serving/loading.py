"""From a folder to a pipeline that can answer: files checked, models opened, engines loaded, one text tried."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.artifact import ROLE_FOLDERS, Artifact, open_artifact
from absa_server.absa.batches import BatchRunner
from absa_server.absa.checkpoint import Checkpoint
from absa_server.absa.classifier import Classifier
from absa_server.absa.extractor import Extractor
from absa_server.absa.pipeline import Pipeline
from absa_server.absa.stages import AspectStage, JointStage, SentimentStage
from absa_server.absa.tokenization import TextTokenizer, shared_tokenizer
from absa_server.engines.factory import EngineChoice, NetworkSource, load_engine, load_tokenizer
from absa_server.errors import InvalidModel
from absa_server.serving.courtesy import AT_ONCE, Courtesy
from absa_server.serving.footprints import measured_resident_bytes
from absa_server.serving.guarded_engine import GuardedEngine
from absa_server.serving.self_test import check_self_test
from absa_server.types import Engine, GivenAspect, Record
from absa_server.user_code.functions import CODE_FOLDER, UserFunctions
from absa_server.user_code.loaded import UserCode, functions_of, load_user_code
from model_loader import ArtifactError, open_folder
from model_loader.manifest import artifact_hash, content_hash

logger = logging.getLogger(__name__)

_SELF_TEST = Record("The food was great, but the service was slow.", aspects=None)
_VERSION_CHARS = 16
_SELF_TEST_GIVEN = Record(_SELF_TEST.text, aspects=(GivenAspect("food", 4, 8),))


LoadEngine = Callable[[NetworkSource, EngineChoice], Engine]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks are run; see the settings of the same names. As it stands: in this process, without a cache.

    `batch_tokens` 0 takes what suits each network's engine. `load` is another than ours where the server around the
    engines is looked at alone (tests/drills/front.py).
    """

    choice: EngineChoice = field(default_factory=lambda: EngineChoice("torch"))
    batch_tokens: int = 4096
    max_aspects: int = 100
    self_test: bool = False
    load: LoadEngine = load_engine


# What the artifact's own code is given as its model: a callable made of the pipeline.
AsCallable = Callable[[Pipeline], Callable[..., object]]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A pipeline and what it holds. `close` gives its memory back; nobody may be using it then.

    `engines` names what runs each of its networks; `version` tells its content, where whoever loads it does not know.
    `code` answers its requests instead, where the artifact brings some and it is switched on; the pipeline may then be
    one without any stage.
    """

    pipeline: Pipeline
    kind: str
    resident_bytes: int
    close: Callable[[], None]
    engines: tuple[str, ...] = ()
    version: str = ""
    code: UserCode | None = None


def load_model(
    root: Path,
    options: EngineOptions,
    *,
    as_callable: AsCallable | None = None,
    is_hashed: bool = True,
    courtesy: Courtesy | None = None,
) -> LoadedModel:
    """The artifact at `root`, loaded and tried on one sentence. Raises `InvalidModel` telling its owner what to fix.

    `as_callable` switches the artifact's own code on: the code is run, and sees of the pipeline what it returns.
    Without `is_hashed` its files are not read a second time for a version. With `courtesy`, where there is traffic
    beside, it is asked before each step, those of closing too, and nothing is done side by side.
    """
    started = time.monotonic()
    polite = courtesy or AT_ONCE
    polite.before_step()
    try:
        folder = open_folder(root, own_folders=(*ROLE_FOLDERS, CODE_FOLDER))
    except ArtifactError as error:
        raise InvalidModel(str(error)) from error
    functions = functions_of(folder.root, is_wanted=as_callable is not None)
    artifact = _open(folder.root, functions)
    engines: list[Engine] = []
    code = None
    try:
        pipeline = _build(artifact, options, engines, courtesy) if artifact else Pipeline(None, None, OutputSection())
        _self_test(pipeline, polite)
        names = tuple(engine.name for engine in engines)
        if options.self_test and artifact is not None:
            polite.before_step()
            _check_stored_answers(folder.root, pipeline, names)
        if functions is not None and as_callable is not None:
            polite.before_step()
            default_model = as_callable(pipeline) if artifact else None
            code = load_user_code(functions, folder.root, default_model=default_model)
    except BaseException:
        _close(engines, polite)
        raise
    kind = artifact.kind if artifact else "user code"
    weights = sum(engine.resident_bytes for engine in engines)
    resident = measured_resident_bytes(folder.root, names) or weights
    logger.info(
        "model_loaded",
        extra={
            "kind": kind,
            "seconds": round(time.monotonic() - started, 3),
            "resident_bytes": resident,
            "files_bytes": folder.size_bytes,
        },
    )
    version = artifact_hash(folder.root)[:_VERSION_CHARS] if is_hashed else ""
    return LoadedModel(pipeline, kind, resident, lambda: _close(engines, polite), names, version, code)


def _open(root: Path, functions: UserFunctions | None) -> Artifact | None:
    """The artifact's models; None where it has none and its code makes its own. Raises `InvalidModel`."""
    try:
        return open_artifact(root)
    except InvalidModel as error:
        if functions is None or functions.model_fn is None:
            raise
        logger.info("user_code_without_models", extra={"reason": error.message})
        return None


def _build(artifact: Artifact, options: EngineOptions, engines: list[Engine], courtesy: Courtesy | None) -> Pipeline:
    if courtesy is None:
        aspect, sentiment = _stages_side_by_side(artifact, options, engines)
    else:
        aspect, sentiment = _stages_in_turn(artifact, options, engines, courtesy)
    is_joint = artifact.tag_set is not None and artifact.tag_set.is_joint
    rater = sentiment or (JointStage(aspect) if aspect and is_joint else None)
    return Pipeline(aspect, rater, artifact.options.output, options.max_aspects)


def _stages_in_turn(
    artifact: Artifact, options: EngineOptions, engines: list[Engine], courtesy: Courtesy
) -> tuple[AspectStage | None, SentimentStage | None]:
    aspect, sentiment = None, None
    if artifact.aspect is not None:
        courtesy.before_step()
        aspect = _aspect_stage(artifact, artifact.aspect, options, engines)
    if artifact.sentiment is not None:
        courtesy.before_step()
        sentiment = _sentiment_stage(artifact, artifact.sentiment, options, engines)
    return aspect, sentiment


def _stages_side_by_side(
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
    return shared_tokenizer(checkpoint.tokenizer_json or load_tokenizer(_source(checkpoint), options.choice))


def _runner(checkpoint: Checkpoint, options: EngineOptions, engines: list[Engine]) -> BatchRunner:
    engine = options.load(_source(checkpoint), options.choice)
    engine = cast("Engine", GuardedEngine(engine))
    engines.append(engine)
    budget = options.batch_tokens or engine.batch_tokens
    return BatchRunner(engine, checkpoint.pad_token_id, checkpoint.uses_token_types, budget)


def _source(checkpoint: Checkpoint) -> NetworkSource:
    content = partial(content_hash, checkpoint.folder)
    return NetworkSource(checkpoint.folder, content, checkpoint.task, len(checkpoint.id2label))


def plain_records(pipeline: Pipeline) -> list[Record]:
    """A sentence for each of the pipeline's stages.

    The second stage's has a given aspect: a tagger that finds nothing would leave it untried.
    """
    return [_SELF_TEST] * (pipeline.aspect is not None) + [_SELF_TEST_GIVEN] * (pipeline.rater is not None)


def _self_test(pipeline: Pipeline, courtesy: Courtesy) -> None:
    """A model that cannot answer one sentence is found now, not by the first caller. Raises `InvalidModel`.

    The second stage alone, then both: a first pass takes several times as long as others, and so each is one step.
    """
    analyses = []
    for record in reversed(plain_records(pipeline)):
        courtesy.before_step()
        try:
            analyses += pipeline.analyze([record])
        except Exception as error:  # whatever a broken model makes its engine or decoder raise
            raise InvalidModel(f"the model loads but fails on a plain sentence: {error}") from error
    refusals = [analysis for analysis in analyses if isinstance(analysis, Exception)]
    if refusals:
        raise InvalidModel(f"the model loads but refuses a plain sentence: {refusals[0]}")


def _check_stored_answers(root: Path, pipeline: Pipeline, engines: tuple[str, ...]) -> None:
    """See `check_self_test`; an artifact that brings no answers is served with a warning."""
    answers = check_self_test(root, pipeline, engines)
    if answers == 0:
        logger.warning(
            "self_test_absent", extra={"reason": "the artifact brings no answers; package-model stores some"}
        )
    else:
        logger.info("self_test_passed", extra={"answers": answers})


def _close(engines: list[Engine], courtesy: Courtesy) -> None:
    """One by one: what frees a network holds the interpreter's lock meanwhile, 8 ms a stream of a small one."""
    while engines:
        courtesy.before_closing()
        engines.pop().close()
