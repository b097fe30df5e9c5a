"""int8 networks of tiny models: chosen on held-out texts, refused when they cost too much, packed and served."""

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from absa_server.engines.factory import EngineChoice
from absa_server.packaging.child import run_child
from absa_server.packaging.errors import InvalidInputs, MeasurementFailed, UnfitNetwork
from absa_server.packaging.int8 import Figures, Int8Options, choose, refuse_unfit
from absa_server.packaging.recipes import BY_NAME, RECIPES
from absa_server.packaging.reviews import read_reviews
from absa_server.packaging.staging import Inputs
from absa_server.packaging.trials import aspect_trial, sentiment_trial
from absa_server.serving.cache_disk import CacheDisk
from absa_server.serving.engine_cache import EngineCache
from absa_server.serving.loading import EngineOptions, load_model
from absa_server.types import Record
from tests.packaging.conftest import Pack, unpacked
from tests.packaging.reviews_file import write_reviews

FIGURES = Figures("plain", 100, "f1", 0.98, 0.90, 0.89, 2.0, "3.0")


def int8(reviews: Path, *, max_drop: float = 1.0, recipes: tuple[str, ...] = ("smooth-early",)) -> Int8Options:
    return Int8Options(reviews, max_drop, tuple(BY_NAME[name] for name in recipes))


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return write_reviews(tmp_path / "reviews.jsonl")


def test_artifact_with_int8_is_served_in_it(pack: Pack, tiny_models: Path, tmp_path: Path, reviews: Path) -> None:
    """With its figures in network.json; auto takes it, and its self-test passes."""
    packed = pack(Inputs(tiny_models), int8=int8(reviews))
    root = unpacked(packed.file, tmp_path / "out")
    for role, metric in (("aspect", "f1"), ("sentiment", "accuracy")):
        info = json.loads((root / role / "openvino/int8/network.json").read_text())
        assert info["precision"] == "int8"
        assert ", nncf " in info["engine"]
        assert info["measured"] == packed.int8[role]
        assert info["measured"]["recipe"] == "smooth-early"
        assert 0.5 < info["measured"][f"{metric}_f32"] <= 1
        assert info["measured"]["speedup"] > 0
        sizes = [(root / role / "openvino" / one / "model.bin").stat().st_size for one in ("f32", "int8")]
        assert sizes[1] < sizes[0]
        graphs = [(root / role / "openvino" / one / "model.xml").read_text() for one in ("f32", "int8")]
        assert ['element_type="f16"' in graph for graph in graphs] == [False, True], "tables of embeddings are halved"
    model = load_model(root, EngineOptions(EngineChoice("auto"), self_test=True))
    [analysis] = model.pipeline.analyze([Record("the food was great.")])
    assert model.engines == ("openvino int8", "openvino int8")
    assert [(aspect.term, aspect.polarity) for aspect in analysis.aspects] == [("food", "positive")]
    model.close()


def test_search_is_kept(pack: Pack, tiny_models: Path, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same models, reviews and recipes give the same bytes, from one search."""
    one = pack(Inputs(tiny_models), "one.tar.gz", int8=int8(reviews))
    monkeypatch.setattr("absa_server.packaging.int8.run_child", lambda *_, **__: pytest.fail("quantized again"))
    assert pack(Inputs(tiny_models), "two.tar.gz", int8=int8(reviews)).sha256 == one.sha256


def test_what_costs_too_much_is_not_written(pack: Pack, tiny_models: Path, tmp_path: Path, reviews: Path) -> None:
    """It is told with its figures."""
    options = int8(reviews, max_drop=-1.0, recipes=("plain",))
    with pytest.raises(UnfitNetwork, match=r"int8 costs -?[\d.]+ on held-out texts, --max-drop allows -1\.0 \(recipe "):
        pack(Inputs(tiny_models / "sentiment"), "worse.tar.gz", int8=options)
    assert not (tmp_path / "worse.tar.gz").exists()


@pytest.mark.parametrize(("drop", "is_refused"), [(0.005, False), (0.0051, True)])
def test_allowed_drop_is_allowed(drop: float, is_refused: bool) -> None:
    """On both sides of the bound."""
    options = Int8Options(Path("reviews.jsonl"), 0.005)
    with pytest.raises(UnfitNetwork) if is_refused else nullcontext():
        refuse_unfit("aspect", {"drop": drop}, options)


def test_unlabelled_reviews_are_measured_by_agreement(tiny_models: Path, tmp_path: Path, cache_dir: Path) -> None:
    """Stage two is asked about the aspects that stage one finds; what changed counts as lost."""
    reviews = read_reviews(write_reviews(tmp_path / "reviews.jsonl", is_labelled=False))
    choice = EngineChoice("openvino", precision="f32", cache=EngineCache(CacheDisk(cache_dir)))
    model = load_model(tiny_models, EngineOptions(choice))
    trials = aspect_trial(model.pipeline, reviews), sentiment_trial(model.pipeline, reviews)
    answers = [trial.answers(model.pipeline) for trial in trials]
    model.close()
    assert [trial.score(found) for trial, found in zip(trials, answers, strict=True)] == [None, None]
    assert (len(answers[0]), set(answers[1])) == (len(reviews.held_out), {"positive", "neutral", "negative"})
    assert replace(FIGURES, score_f32=None).drop == pytest.approx(0.02)


def test_stage_two_alone_needs_aspects(pack: Pack, tiny_models: Path, tmp_path: Path) -> None:
    """Nobody finds them for it."""
    file = write_reviews(tmp_path / "reviews.jsonl", is_labelled=False)
    with pytest.raises(InvalidInputs, match="neither do the lines have aspects, nor are any found"):
        pack(Inputs(tiny_models / "sentiment"), int8=int8(file))


def test_int8_without_compiled_networks_is_refused(pack: Pack, tiny_models: Path, reviews: Path) -> None:
    """It is one itself."""
    with pytest.raises(InvalidInputs, match="choose one of them"):
        pack(Inputs(tiny_models), is_compiled=False, int8=int8(reviews))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FIGURES, replace(FIGURES, score_int8=0.88)),
        (FIGURES, replace(FIGURES, agreement=0.97)),
        (replace(FIGURES, score_int8=0.90), replace(FIGURES, score_int8=0.95, agreement=0.97)),
        (replace(FIGURES, score_f32=None), replace(FIGURES, score_f32=None, agreement=0.97)),
    ],
)
def test_recipes_are_ranked_by_what_they_cost(one: Figures, other: Figures) -> None:
    """A lower score, or more answers that changed, cost; a higher score by chance earns nothing."""
    assert one.cost < other.cost


def test_fastest_recipe_within_half_of_the_allowed_drop_is_kept() -> None:
    """On both sides of the bound; where none is within it, the least costly."""
    fast, slow = replace(FIGURES, speedup=3.0), replace(FIGURES, score_int8=0.90, agreement=0.999, speedup=1.5)
    assert choose([slow, fast], max_drop=2 * fast.cost) is fast
    assert choose([slow, fast], max_drop=2 * fast.cost - 0.0001) is slow
    assert choose([fast, slow], max_drop=0.0) is slow


def test_process_that_dies_is_told_with_its_last_words() -> None:
    """Of the child nothing is left but its message."""
    with pytest.raises(MeasurementFailed, match=r"ended with exit code 1: (.|\n)*KeyError: 'no-recipe'"):
        run_child("absa_server.packaging.quantize", "a", "b", "c", "no-recipe", timeout_s=60)
    with pytest.raises(MeasurementFailed, match="not done within 0 s"):
        run_child("absa_server.packaging.quantize", timeout_s=0.01)


def test_recipes_differ_in_name_and_content() -> None:
    """Each is another way, from the fastest to the most careful."""
    assert len({recipe.name for recipe in RECIPES}) == len({(one.alpha, one.kept) for one in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(
    ("arguments", "telling"),
    [
        (["--int8"], "needs --calibrate"),
        (["--int8", "--calibrate", "{reviews}", "--recipe", "magic"], "expected recipes of plain"),
        (["--no-compiled", "--compiled-only"], "choose one of them"),
    ],
)
def test_command_refuses_options_that_do_not_fit(
    arguments: list[str], telling: str, tiny_models: Path, tmp_path: Path, reviews: Path
) -> None:
    """In one line, without a traceback."""
    absa = str(Path(sys.executable).parent / "absa")
    options = [one.format(reviews=reviews) for one in arguments]
    done = subprocess.run(
        [absa, "package-model", "--models", str(tiny_models), "--out", str(tmp_path / "m.tar.gz"), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert telling in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stdout + done.stderr
