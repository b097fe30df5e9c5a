"""What a folder is as a whole: roles, the kinds of artifact, and how absa.json reads labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.absa.artifact import open_artifact
from absa_server.absa.classifier import PolarityLabel
from absa_server.errors import InvalidModel
from tests.absa.model_folders import write_rater, write_tagger

JOINT = {"0": "O", "1": "B-POS", "2": "I-POS"}
NUMBERED = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
Layout = Callable[[Path], object]


def _absa_json(root: Path, document: str) -> None:
    (root / "absa.json").write_text(document)


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        (lambda root: (write_tagger(root / "aspect"), write_rater(root / "sentiment")), "chain"),
        (lambda root: (write_tagger(root / "aspect", id2label=JOINT), write_rater(root / "sentiment")), "chain"),
        (lambda root: write_tagger(root / "aspect"), "aspect only"),
        (lambda root: write_tagger(root / "aspect", id2label=JOINT), "joint"),
        (lambda root: write_rater(root / "sentiment"), "sentiment only"),
        (write_tagger, "aspect only"),
        (lambda root: write_tagger(root, id2label=JOINT), "joint"),
        (write_rater, "sentiment only"),
    ],
)
def test_kind_follows_from_what_lies_there(layout: Layout, kind: str, tmp_path: Path) -> None:
    """Two folders by role, either alone, or one plain model at the top."""
    layout(tmp_path)
    assert open_artifact(tmp_path).kind == kind


def test_manifest_names_the_folders(tmp_path: Path) -> None:
    """`path` moves a role elsewhere inside the artifact."""
    write_tagger(tmp_path / "models" / "terms")
    write_rater(tmp_path / "rating")
    _absa_json(tmp_path, '{"aspect": {"path": "models/terms"}, "sentiment": {"path": "rating"}}')
    artifact = open_artifact(tmp_path)
    assert artifact.aspect is not None
    assert artifact.aspect.folder == tmp_path / "models" / "terms"
    assert artifact.kind == "chain"


def test_manifest_gives_each_model_its_length(tmp_path: Path) -> None:
    """`max_length` of one section is not the other's."""
    write_tagger(tmp_path / "aspect")
    write_rater(tmp_path / "sentiment")
    _absa_json(tmp_path, '{"aspect": {"max_length": 200}, "sentiment": {"max_length": 100}}')
    artifact = open_artifact(tmp_path)
    assert artifact.aspect is not None
    assert artifact.sentiment is not None
    assert (artifact.aspect.max_tokens, artifact.sentiment.max_tokens) == (200, 100)


def test_polarities_are_mapped_by_name_and_keep_the_models_own(tmp_path: Path) -> None:
    """Order decides nothing; unknown names pass unchanged; renamed ones keep the model's label beside the polarity."""
    write_rater(tmp_path, id2label={"0": "NEUTRAL", "1": "POSITIVE", "2": "joy"})
    assert open_artifact(tmp_path).polarity_labels == (
        PolarityLabel("NEUTRAL", "neutral"), PolarityLabel("POSITIVE", "positive"), PolarityLabel("joy", "joy"),
    )  # fmt: skip
    write_rater(tmp_path, id2label=NUMBERED)
    _absa_json(tmp_path, '{"sentiment": {"labels": {"LABEL_0": "neg", "LABEL_1": "neu", "LABEL_2": "pos"}}}')
    assert open_artifact(tmp_path).polarity_labels[0] == PolarityLabel("LABEL_0", "negative")


def test_ten_labels_and_more_stand_in_numeric_order(tmp_path: Path) -> None:
    """JSON sorts "10" before "2"; ids are numbers here."""
    names = {str(number): f"class {number}" for number in sorted(range(12), key=str)}
    write_rater(tmp_path, id2label=names, width=12)
    assert [label.label for label in open_artifact(tmp_path).polarity_labels] == [f"class {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("layout", "telling"),
    [
        (lambda root: (root / "models").mkdir(), "no model found: expected aspect/ and sentiment/"),
        (lambda root: write_rater(root / "aspect"), "are the folders swapped?"),
        (lambda root: (write_tagger(root / "sentiment"), write_tagger(root / "aspect")), "are the folders swapped?"),
        (lambda root: (write_tagger(root), _absa_json(root, '{"aspect": {"pth": "x"}}')), "aspect.pth: Extra inputs"),
        (lambda root: (write_tagger(root), _absa_json(root, '{"aspect": {"path": "../x"}}')), "leads out of the"),
        (lambda root: (write_tagger(root), _absa_json(root, '{"aspect": {"path": "/etc"}}')), "leads out of the"),
        (lambda root: write_tagger(root, id2label=NUMBERED), '{"aspect": {"labels": {"LABEL_0"'),
        (lambda root: write_rater(root, id2label=NUMBERED), '{"sentiment": {"labels": {"LABEL_0"'),
        (
            lambda root: (write_rater(root), _absa_json(root, '{"sentiment": {"labels": {"LABEL_0": "positive"}}}')),
            "sentiment.labels names ['LABEL_0'], which the model does not have",
        ),
        (
            lambda root: write_rater(root, id2label={"0": "pos", "1": "positive", "2": "neg"}),
            "mean the same polarity",
        ),
        (lambda root: write_rater(root, id2label={"0": "score"}, width=1), "do not say which polarity"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(layout: Layout, telling: str, tmp_path: Path) -> None:
    """The message tells the artifact's owner which folder or field to change."""
    layout(tmp_path)
    with pytest.raises(InvalidModel) as refusal:
        open_artifact(tmp_path)
    assert telling in refusal.value.message
