"""Real server processes over tiny real models: what a container starts, on a free port of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

from absa_server.commands import server_checks

ROOT = Path(__file__).parents[2]
SERVE = str(ROOT / "serve" / "serve")
STOP_LIMIT_S = 25


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with only the given variables of ours, and this Python's programs first on PATH."""
    ours = ("ABSA_", "SAGEMAKER_", "GUNICORN_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    return inherited | {"PATH": path, "ABSA_HOST": "127.0.0.1"} | variables


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class RunningServer:
    """A server process of the test; `log` takes its stdout and stderr."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def wait_until_ready(self) -> None:
        try:
            server_checks.wait_until_ready(self.address, limit_s=120, is_alive=self.is_alive, say=print)
        except server_checks.CheckFailed as failure:
            raise AssertionError(f"{failure}\n{self.log.read_text()}") from failure

    def wait_for_log(self, text: str) -> None:
        """Until the server, or what it started, has written `text`."""
        limit = time.monotonic() + 30
        while text not in self.log.read_text():
            assert time.monotonic() < limit, f"{text!r} is not in\n{self.log.read_text()}"
            time.sleep(0.05)

    def stop(self, signal_number: int) -> tuple[int, float]:
        """Exit code, and seconds from the signal to the end."""
        begin = time.monotonic()
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=STOP_LIMIT_S + 10), time.monotonic() - begin


StartServer = Callable[..., RunningServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts `command` on a free port, in an empty folder; ends it after the test if the test did not."""
    started: list[RunningServer] = []

    def start(*command: str, **variables: str) -> RunningServer:
        port = free_port()
        log, folder = tmp_path / f"server-{port}.log", tmp_path / "work"
        folder.mkdir(exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command or [SERVE],
                cwd=folder,
                env=environment(SAGEMAKER_BIND_TO_PORT=str(port), **variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(RunningServer(process, port, log))
        return started[-1]

    yield start
    for server in started:
        with suppress(ProcessLookupError):  # already gone, as after most tests
            os.killpg(server.process.pid, signal.SIGKILL)  # its worker too, which would outlive it
        server.process.wait()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of two BERTs of one narrow layer: every word is an aspect, and each of them is positive."""
    root = tmp_path_factory.mktemp("models")
    for name, model_class, labels in (
        ("aspect", BertForTokenClassification, ["O", "B-ASP", "I-ASP"]),
        ("sentiment", BertForSequenceClassification, ["negative", "positive", "neutral"]),
    ):
        config = BertConfig(
            vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)},
        )  # fmt: skip
        model = model_class(config)
        with torch.no_grad():
            model.classifier.bias[1] = 9.0
        model.save_pretrained(root / name)
        _write_tokenizer(root / name / "tokenizer.json")
    return root


def _write_tokenizer(file: Path) -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "pasta": 4, "service": 5, "was": 6, "the": 7}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(file))
