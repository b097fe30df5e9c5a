"""What the tests of the domain share: a real tokenizer of each family, trained once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.absa.tokenization import TextTokenizer
from tests.absa.families import FAMILIES


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with a family's `tokenizer.json`; its `slow/` holds the files the family publishes without one."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("family")
            FAMILIES[name].save(made[name])
        return made[name]

    return folder


@pytest.fixture(scope="session")
def tokenizer_json(family_folder: Callable[[str], Path]) -> Callable[[str], str]:
    """A family's `tokenizer.json` as text."""
    return lambda name: (family_folder(name) / "tokenizer.json").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def text_tokenizer(tokenizer_json: Callable[[str], str]) -> Callable[[str], TextTokenizer]:
    """A family's tokenizer as the server reads it."""
    made: dict[str, TextTokenizer] = {}

    def tokenizer(name: str) -> TextTokenizer:
        if name not in made:
            made[name] = TextTokenizer(tokenizer_json(name))
        return made[name]

    return tokenizer
