"""The record of loaded models: what was written is read, and nothing bad stops a start."""

import pytest

from absa_server.serving.model_names import ModelNames, names_file_of_this_server


def test_names_outlive_their_writer(tmp_path):
    """Another reader of the same file finds what was written last."""
    file = tmp_path / "not" / "there" / "names.json"
    ModelNames(file).write({"a": "/x"})
    ModelNames(file).write({"b": "/y"})
    assert ModelNames(file).read() == {"b": "/y"}


@pytest.mark.parametrize("content", [None, "", "{", "[]", "3"])
def test_unreadable_record_is_none(tmp_path, content):
    """A record that is missing or torn is the same as none."""
    file = tmp_path / "names.json"
    if content is not None:
        file.write_text(content)
    assert ModelNames(file).read() == {}


def test_disk_that_takes_nothing_is_only_told(tmp_path, caplog):
    """Writing where nothing can be written is logged and harms nobody."""
    (tmp_path / "file").write_text("")
    ModelNames(tmp_path / "file" / "names.json").write({"a": "/x"})
    assert "model_names_not_recorded" in caplog.text


def test_file_is_the_same_for_all_workers_of_a_server():
    """The name depends on the parent process alone."""
    assert names_file_of_this_server() == names_file_of_this_server()
