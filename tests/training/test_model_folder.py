"""The folder that training leaves: whole or not at all, and known again by its hash."""

import pytest

from absa_server.training.errors import TrainingError
from absa_server.training.model_folder import (
    MODEL_FILES,
    PROJECT_FILES,
    ROLES,
    content_hash,
    read_record,
    refuse_foreign_folder,
    replaced_folder,
)


def write_complete(folder, content="{}"):
    for role in ROLES:
        (folder / role).mkdir(parents=True, exist_ok=True)
        for name in MODEL_FILES:
            (folder / role / name).write_text("", encoding="utf-8")
    for name in PROJECT_FILES:
        (folder / name).write_text(content, encoding="utf-8")


def test_hash_changes_with_source_input_and_settings(tmp_path):
    """Each of the three alone gives another hash; what is neither source nor phrases does not."""
    package, data = tmp_path / "package", tmp_path / "data"
    (package / "phrases").mkdir(parents=True)
    source, phrases = package / "a.py", package / "phrases" / "b.txt"
    source.write_text("1")
    phrases.write_text("1")
    data.write_text("1")

    def hashed(**settings):
        return content_hash(package, inputs={"data": data}, settings=settings)

    hashes = [hashed(seed=1), hashed(seed=2)]
    for file in (source, phrases, data):
        file.write_text("2")
        hashes.append(hashed(seed=1))
    assert len(set(hashes)) == 5
    (package / "a.pyc").write_text("2")
    assert hashed(seed=1) == hashes[-1]


def test_folder_takes_its_place_at_the_end(tmp_path):
    """While the work goes on the old folder is there; afterwards only the new one, and nothing beside it."""
    target = tmp_path / "models"
    target.mkdir()
    write_complete(target)
    with replaced_folder(target) as fresh:
        (fresh / "training.json").write_text("new")
        assert (target / "training.json").read_text() == "{}"
    assert [file.name for file in target.iterdir()] == ["training.json"]
    assert [file.name for file in tmp_path.iterdir()] == ["models"]


def test_folder_stays_as_it_was_when_the_work_fails(tmp_path):
    """An error, or Ctrl-C, leaves the old result and no half of a new one."""
    target = tmp_path / "models"
    target.mkdir()
    write_complete(target)

    def work() -> None:
        with replaced_folder(target) as fresh:
            (fresh / "training.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (target / "training.json").read_text() == "{}"
    assert [file.name for file in tmp_path.iterdir()] == ["models"]


def test_folder_of_something_else_is_refused(tmp_path):
    """What training did not write is not deleted; an empty folder, and one not there, are free to take."""
    refuse_foreign_folder(tmp_path)
    refuse_foreign_folder(tmp_path / "absent")
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TrainingError, match="nothing was changed"):
        refuse_foreign_folder(tmp_path)
    with pytest.raises(TrainingError, match="expected a new or empty folder"):
        refuse_foreign_folder(tmp_path / "thesis.txt")


def test_record_is_read_only_from_a_complete_folder(tmp_path):
    """One missing file, or a record that cannot be read, and the folder counts as absent."""
    write_complete(tmp_path, '{"content_hash": "x"}')
    assert read_record(tmp_path) == {"content_hash": "x"}
    for broken in ("{", "[]"):
        (tmp_path / "training.json").write_text(broken)
        assert read_record(tmp_path) is None
    write_complete(tmp_path)
    (tmp_path / "sentiment" / "model.safetensors").unlink()
    assert read_record(tmp_path) is None
