"""An int8 network that has earned its place: several recipes tried, the one that costs least in answers kept.

Recipes are calibrated on one part of real reviews and judged on another; no test set is ever looked at. What was
measured is written into the network's `network.json`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from absa_server.absa.artifact import Artifact
from absa_server.absa.checkpoint import Checkpoint
from absa_server.absa.tokenization import ModelInput
from absa_server.engines.factory import EngineChoice
from absa_server.engines.network import GRAPH, WEIGHTS, read_info, write_info
from absa_server.engines.openvino import StreamPlan, load_network
from absa_server.engines.openvino_library import openvino
from absa_server.packaging.child import run_child
from absa_server.packaging.errors import InvalidInputs, UnfitNetwork
from absa_server.packaging.networks import checkpoints, network_folder
from absa_server.packaging.recipes import RECIPES, Recipe
from absa_server.packaging.reviews import MOST_CALIBRATING, Reviews, read_reviews
from absa_server.packaging.trials import (
    Answers,
    RecordingEngine,
    Trial,
    agreement,
    aspect_trial,
    sentiment_trial,
    speedup,
)
from absa_server.serving.loading import EngineOptions, LoadedModel, load_model

_MODULE = "absa_server.packaging.quantize"
_TIMEOUT_S = 3600.0
_REVISION = 2  # of what a search makes of the same input; what was kept of an earlier one is not used
# Tokens of a batch while networks are compared; more than the server's default, which changes no answer.
_BATCH_TOKENS = 1024
# Aspects a text, far above what texts have.
_MAX_ASPECTS = 10_000


@dataclass(frozen=True, slots=True)
class Int8Options:
    """Which reviews, and how much of F1 or accuracy int8 may cost on the held-out ones (0.005: half a point)."""

    reviews: Path
    max_drop: float = 0.005
    recipes: tuple[Recipe, ...] = RECIPES


@dataclass(frozen=True, slots=True)
class Figures:
    """What one recipe's network costs and gains on the held-out reviews. Scores are None without labels."""

    recipe: str
    texts: int
    metric: str
    agreement: float
    score_f32: float | None
    score_int8: float | None
    speedup: float
    nncf: str

    @property
    def drop(self) -> float:
        """What int8 costs; without labels the share of answers that changed, which bounds it."""
        if self.score_f32 is None or self.score_int8 is None:
            return 1 - self.agreement
        return self.score_f32 - self.score_int8

    @property
    def cost(self) -> float:
        """What recipes are judged by. Agreement counts too: a score on few texts is noisier than the answers are."""
        return max(0.0, self.drop) + (1 - self.agreement) / 2

    def as_measured(self) -> dict[str, float | str]:
        """For `network.json`."""
        scores = {f"{self.metric}_f32": self.score_f32, f"{self.metric}_int8": self.score_int8}
        return {
            "recipe": self.recipe,
            "held_out_texts": self.texts,
            "agreement": round(self.agreement, 4),
            **{name: round(score, 4) for name, score in scores.items() if score is not None},
            "drop": round(self.drop, 4),
            "speedup": round(self.speedup, 2),
        }


def choose(tried: Sequence[Figures], *, max_drop: float) -> Figures:
    """The fastest of those that cost at most half of what is allowed; the least costly where none does.

    Half, because other texts will be served than those that were held out, which the model may have been trained on.
    """
    careful = [figures for figures in tried if figures.cost <= max_drop / 2]
    if careful:
        return max(careful, key=lambda figures: figures.speedup)
    return min(tried, key=lambda figures: figures.cost)


def add_int8(
    root: Path, artifact: Artifact, options: Int8Options, choice: EngineChoice, say: Callable[[str], None]
) -> dict[str, dict[str, float | str]]:
    """Puts an int8 network beside the float32 one of each model of the artifact at `root`; what was measured of it.

    Raises `UnfitNetwork` when the best recipe costs more than was allowed, `InvalidInputs`, `MeasurementFailed`.
    """
    reviews = read_reviews(options.reviews)
    measured: dict[str, dict[str, float | str]] = {}
    with _opened(root, choice) as model:
        for checkpoint in checkpoints(artifact):
            is_aspect = checkpoint is artifact.aspect
            trial = (aspect_trial if is_aspect else sentiment_trial)(model.pipeline, reviews)
            search = _Search(checkpoint, trial, len(reviews.held_out), options, say)
            out = network_folder(checkpoint, "int8")
            _search_once(search, out, _key(artifact, reviews, options, checkpoint), choice)
            found = read_info(out).measured or {}
            refuse_unfit(checkpoint.folder.name, found, options)
            measured[checkpoint.folder.name] = found
    return measured


@contextmanager
def _opened(root: Path, choice: EngineChoice) -> Iterator[LoadedModel]:
    options = EngineOptions(replace(choice, precision="f32", streams=1, threads=1), _BATCH_TOKENS, _MAX_ASPECTS)
    model = load_model(root, options)
    try:
        yield model
    finally:
        model.close()


def _key(artifact: Artifact, reviews: Reviews, options: Int8Options, checkpoint: Checkpoint) -> str:
    """Everything that the outcome depends on; stage two is asked about what stage one finds."""
    networks = [read_info(network_folder(one, "f32")).id for one in checkpoints(artifact)]
    recipes = ",".join(recipe.name for recipe in options.recipes)
    versions = f"openvino {openvino().__version__} nncf {version('nncf')}"
    return f"int8 {_REVISION} {checkpoint.task} {networks} {reviews.digest} {recipes} {options.max_drop} {versions}"


def _search_once(search: "_Search", out: Path, key: str, choice: EngineChoice) -> None:
    """Kept, since a search takes minutes; and so that the same input gives the same bytes."""
    lease = choice.cache.lease(key, search.run)
    try:
        shutil.copytree(lease.path, out)
    finally:
        lease.release()


def refuse_unfit(name: str, found: dict[str, float | str], options: Int8Options) -> None:
    """Raises `UnfitNetwork` when the network of the model `name` costs more than was allowed."""
    if float(found["drop"]) <= options.max_drop:
        return
    figures = ", ".join(f"{field} {value}" for field, value in found.items())
    raise UnfitNetwork(
        f"{name}/: int8 costs {found['drop']} on held-out texts, --max-drop allows {options.max_drop} ({figures}); "
        "calibrate on more real texts of the same kind, allow more, or pack without --int8"
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for one model's network."""

    checkpoint: Checkpoint
    trial: Trial
    texts: int
    options: Int8Options
    say: Callable[[str], None]

    def run(self, out: Path) -> None:
        """Fills `out` with the best network of all recipes."""
        rows = self._recorded()
        expected = self.trial.answers(self.trial.pipeline)
        with tempfile.TemporaryDirectory() as work:
            file = Path(work) / "rows.npz"
            _write_rows(file, rows)
            recipes = self.options.recipes
            tried = [self._try(recipe, Path(work) / recipe.name, file, rows, expected) for recipe in recipes]
            best = choose(tried, max_drop=self.options.max_drop)
            for name in (GRAPH, WEIGHTS):
                shutil.move(Path(work) / best.recipe / name, out / name)
        info = read_info(network_folder(self.checkpoint, "f32"))
        engine = f"{info.engine}, nncf {best.nncf}"
        write_info(out, replace(info, precision="int8", engine=engine, measured=best.as_measured()))

    def _recorded(self) -> list[ModelInput]:
        """The rows that the model is asked for on the texts to calibrate on."""
        recording = RecordingEngine(self.trial.runner(self.trial.pipeline).engine, MOST_CALIBRATING)
        self.trial.calibrate(self.trial.with_engine(recording))
        if not recording.rows:
            raise InvalidInputs("the texts to calibrate on ask nothing of the model")
        return recording.rows

    def _try(
        self, recipe: Recipe, out: Path, rows_file: Path, rows: Sequence[ModelInput], expected: Answers
    ) -> Figures:
        self.say(f"{self.checkpoint.folder.name}/: int8 by {recipe.name}")
        out.mkdir()
        folder = network_folder(self.checkpoint, "f32")
        nncf = run_child(_MODULE, str(folder), str(rows_file), str(out), recipe.name, timeout_s=_TIMEOUT_S)
        write_info(out, replace(read_info(folder), precision="int8"))
        engine = load_network(out, "int8", StreamPlan(1, 1), blob=None)
        try:
            pipeline = self.trial.with_engine(engine)
            answers = self.trial.answers(pipeline)
            figures = Figures(
                recipe=recipe.name,
                texts=self.texts,
                metric=self.trial.metric,
                agreement=agreement(answers, expected),
                score_f32=self.trial.score(expected),
                score_int8=self.trial.score(answers),
                speedup=speedup(self.trial.runner(self.trial.pipeline), self.trial.runner(pipeline), rows),
                nncf=nncf,
            )
        finally:
            engine.close()
        shown = " ".join(f"{name} {value}" for name, value in figures.as_measured().items())
        self.say(f"{self.checkpoint.folder.name}/: {shown}")
        return figures


def _write_rows(file: Path, rows: Sequence[ModelInput]) -> None:
    np.savez(
        file,
        ids=np.concatenate([row.ids for row in rows]),
        types=np.concatenate([row.types for row in rows]),
        lengths=np.array([len(row) for row in rows]),
    )
