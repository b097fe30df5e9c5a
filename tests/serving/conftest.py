"""A real pipeline over an engine that the test holds: real tokenizer, windows and decoder, scripted logits."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from absa_server.absa.absa_json import OutputSection
from absa_server.absa.batches import BatchRunner
from absa_server.absa.extractor import Extractor
from absa_server.absa.labels import parse_tags
from absa_server.absa.pipeline import Pipeline
from absa_server.absa.stages import AspectStage
from absa_server.absa.tokenization import TextTokenizer
from absa_server.serving.loading import LoadedModel
from absa_server.types import FloatArray, IntArray

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "food": 4, "a": 5}
FOOD = VOCABULARY["food"]


class GatedEngine:
    """Tags every "food" as an aspect; each forward pass waits until the gate is open. Counts its passes."""

    is_padding_free = False

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.passes = 0
        self.failure: Exception | None = None
        self.is_closed = False
        self.resident_bytes = 1000

    def infer(self, input_ids: IntArray, attention_mask: IntArray, token_type_ids: IntArray | None) -> FloatArray:
        self.passes += 1
        self.entered.set()
        assert self.gate.wait(30), "the test never opened the gate"
        if self.failure is not None:
            raise self.failure
        logits = np.zeros((*input_ids.shape, 2), np.float32)
        logits[..., 0] = np.where(input_ids == FOOD, -5.0, 5.0)
        logits[..., 1] = -logits[..., 0]
        return logits

    def close(self) -> None:
        self.is_closed = True


def word_tokenizer() -> TextTokenizer:
    tokenizer = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return TextTokenizer(tokenizer.to_str())


@pytest.fixture
def engine() -> GatedEngine:
    return GatedEngine()


@pytest.fixture
def pipeline(engine: GatedEngine) -> Pipeline:
    """An aspect-only pipeline; one row a batch, so that work can stop between texts."""
    extractor = Extractor(word_tokenizer(), parse_tags({0: "O", 1: "B-ASP"}), max_tokens=32)
    stage = AspectStage(extractor, BatchRunner(engine, pad_token_id=0, uses_token_types=False, budget_tokens=1))
    return Pipeline(stage, None, OutputSection())


@pytest.fixture
def loaded(pipeline: Pipeline, engine: GatedEngine) -> LoadedModel:
    return LoadedModel(pipeline, "aspect only", engine.resident_bytes, engine.close)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition that another thread brings about; fails after 10 s."""

    def wait(condition: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(10_000):
            if condition():
                return
            pause.wait(0.001)
        pytest.fail("the condition never came true")

    return wait
