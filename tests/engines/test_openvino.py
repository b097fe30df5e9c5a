"""The compiled engine on real, tiny models of every architecture: torch's answers, from any thread, until closed."""

import gc
import shutil
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from absa_server.engines.convert_network import convert_network
from absa_server.engines.memory import mapping_lock
from absa_server.engines.network import INFO, WEIGHTS, read_info
from absa_server.engines.openvino import BLOB, OpenVinoEngine, StreamPlan, compile_blob, load_network, warm_up
from absa_server.engines.padding_free import pack
from absa_server.engines.torch import load_torch_engine
from absa_server.errors import EngineFailed, InvalidModel
from tests.absa.families import FAMILIES
from tests.engines.overfitted import ARCHITECTURES, MAX_TOKENS, Architecture

LABELS = ("O", "B-ASP", "I-ASP")
TASKS = {"TokenClassification": "token-classification", "SequenceClassification": "sequence-classification"}
PLAN = StreamPlan(streams=2, threads=1)


def save_model(architecture: Architecture, folder: Path, head: str = "TokenClassification") -> None:
    """A model with random weights of that architecture, and its tokenizer."""
    FAMILIES[architecture.family].save(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    torch.manual_seed(5)
    architecture.build(head, labels=LABELS, tokenizer=tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted BERT tagger."""
    folder, out = tmp_path_factory.mktemp("model") / "aspect", tmp_path_factory.mktemp("network")
    save_model(ARCHITECTURES["BERT"], folder)
    convert_network(folder, out, task="token-classification", labels=len(LABELS))
    return out


@pytest.fixture
def engine(network: Path) -> OpenVinoEngine:
    return load_network(network, "f32", PLAN, blob=None)


def _batch(rows: int, length: int, vocabulary: int, *, padding: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.random.default_rng(length).integers(5, vocabulary, (rows, length))
    mask, types = np.ones_like(ids), np.zeros_like(ids)
    mask[-1, length - padding :] = 0
    types[:, length // 2 :] = 1
    return ids, mask, types


@pytest.mark.parametrize("head", TASKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_answers_are_those_of_torch(architecture: Architecture, head: str, tmp_path: Path) -> None:
    """Within 1e-4 for every architecture and head, on shapes of all lengths, with and without padded rows."""
    folder, out = tmp_path / "model", tmp_path / "network"
    out.mkdir()
    save_model(architecture, folder, head)
    convert_network(folder, out, task=TASKS[head], labels=len(LABELS))
    compiled = load_network(out, "f32", PLAN, blob=None)
    assert compiled.is_padding_free == (not architecture.name.startswith("Deberta"))
    eager = load_torch_engine(folder, task=TASKS[head], labels=len(LABELS), threads=1)
    has_types = architecture.options.get("type_vocab_size", 2) == 2 and architecture.name not in {"DistilBert", "MPNet"}
    for rows, length, padding in ((1, 1, 0), (1, 7, 0), (3, 7, 4), (5, 33, 20), (2, MAX_TOKENS, 100)):
        ids, mask, types = _batch(rows, length, read_info(out).vocabulary, padding=padding)
        given = types if has_types else None
        found, expected = compiled.infer(ids, mask, given), eager.infer(ids, mask, given)
        assert found.dtype == np.float32
        real = mask.astype(bool) if found.ndim == 3 else slice(None)
        np.testing.assert_allclose(found[real], expected[real], atol=1e-4)
    compiled.close()


def test_padding_changes_no_answer(engine: OpenVinoEngine) -> None:
    """A row alone and the same row padded in a batch have the same logits."""
    ids, mask, types = _batch(3, 24, 40, padding=15)
    together = engine.infer(ids, mask, types)
    alone = engine.infer(ids[-1:, :9].copy(), mask[-1:, :9].copy(), types[-1:, :9].copy())
    np.testing.assert_allclose(together[-1, :9], alone[0], atol=1e-5)


def test_answer_survives_the_next_call(engine: OpenVinoEngine) -> None:
    """What was returned is the caller's own: the request's buffer is written again by its next call."""
    ids, mask, types = _batch(2, 9, 40)
    first = engine.infer(ids, mask, types)
    kept = first.copy()
    for _ in range(4):
        engine.infer(ids[::-1].copy(), mask, types)
    np.testing.assert_array_equal(first, kept)


def test_threads_get_their_own_answers(engine: OpenVinoEngine) -> None:
    """Many more threads than streams, all shapes at once: each answer is that of its own batch."""
    batches = [_batch(1 + length % 3, length, 40) for length in range(2, 34)]
    expected = [engine.infer(*batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: engine.infer(*batch), batches * 4))
    for one, other in zip(found, expected * 4, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_missing_token_types_are_zeros(engine: OpenVinoEngine) -> None:
    """None and zeros are the same."""
    ids, mask, _ = _batch(1, 6, 40)
    np.testing.assert_array_equal(engine.infer(ids, mask, None), engine.infer(ids, mask, np.zeros_like(ids)))


def test_batch_beyond_the_weights_is_an_engine_failure(engine: OpenVinoEngine, network: Path) -> None:
    """One position or id too many is refused, the last of each is answered: the network would invent something."""
    vocabulary = read_info(network).vocabulary
    for length, highest in ((MAX_TOKENS + 1, 7), (4, vocabulary), (4, -1)):
        ids = np.full((2, length), highest)
        with pytest.raises(EngineFailed, match=f"2 rows of {length} tokens"):
            engine.infer(ids, np.ones_like(ids), None)
    ids = np.full((1, MAX_TOKENS), vocabulary - 1)
    assert engine.infer(ids, np.ones_like(ids), None).shape == (1, MAX_TOKENS, len(LABELS))


def test_closed_engine_answers_no_more(engine: OpenVinoEngine) -> None:
    """Also for threads that wait, and when closed again; calls that run are finished first."""
    failures = []
    stop = threading.Event()

    def ask() -> None:
        ids, mask, types = _batch(4, 60, 40)
        while not stop.is_set():
            try:
                assert np.isfinite(engine.infer(ids, mask, types)).all()
            except EngineFailed as error:
                failures.append(error.message)
                return

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    engine.close()
    engine.close()
    for thread in threads:
        thread.join(30)
    stop.set()
    assert len(failures) == len(threads)
    assert set(failures) == {"the model has been unloaded"}


def test_engine_closed_beside_its_calls_is_held_by_nobody(network: Path) -> None:
    """Nor by what remembers which engines worked when."""
    engine = load_network(network, "f32", PLAN, blob=None)
    held = weakref.ref(engine)
    batch, begun = _batch(64, 64, 40), threading.Barrier(PLAN.streams + 1)

    def ask(engine: OpenVinoEngine) -> None:
        begun.wait(20)
        with suppress(EngineFailed):
            while True:
                engine.infer(*batch)

    threads = [threading.Thread(target=ask, args=(engine,)) for _ in range(PLAN.streams)]
    for thread in threads:
        thread.start()
    begun.wait(20)
    time.sleep(0.05)  # both are in the midst of a call
    engine.close()
    for thread in threads:
        thread.join(20)
    del engine
    gc.collect()
    assert held() is None


def test_blob_gives_the_same_answers(network: Path, engine: OpenVinoEngine, tmp_path: Path) -> None:
    """A network loaded from what was compiled once is the same network, and the blob holds no weights."""
    compile_blob(network, tmp_path, "f32", PLAN)
    loaded, batch = load_network(network, "f32", PLAN, blob=tmp_path / BLOB), _batch(3, 17, 40)
    np.testing.assert_array_equal(loaded.infer(*batch), engine.infer(*batch))


def test_damaged_blob_is_compiled_anew(network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The cache's fault is not the artifact's: a warning, and the model answers."""
    (tmp_path / BLOB).write_bytes(b"no blob")
    loaded = load_network(network, "f32", PLAN, blob=tmp_path / BLOB)
    assert loaded.infer(*_batch(1, 5, 40)).shape == (1, 5, len(LABELS))
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["blob_unusable"]


@pytest.mark.parametrize(
    ("file", "content", "telling"),
    [
        (INFO, "{", "is not readable"),
        (INFO, '{"precision": "f32", "vocabulary": 1, "max_tokens": 1, "engine": "", "version": 9}', "version 9"),
        ("model.xml", "<net", "is no network that OpenVINO"),
        ("model.bin", None, "lacks model.bin"),
    ],
)
def test_damaged_network_is_refused(
    network: Path, file: str, content: str | None, telling: str, tmp_path: Path
) -> None:
    """The owner is told to pack it again."""
    damaged = shutil.copytree(network, tmp_path / "network")
    (damaged / file).unlink()
    if content is not None:
        (damaged / file).write_text(content)
    with pytest.raises(InvalidModel, match=telling):
        load_network(damaged, "f32", PLAN, blob=None)


_REST = """
import sys
from pathlib import Path
import numpy as np
from absa_server.engines.memory import return_free_memory
from absa_server.engines.openvino import StreamPlan, load_network
from model_loader.budgets import resident_bytes

engine = load_network(Path(sys.argv[1]), "f32", StreamPlan(2, 1), blob=None)
ids = np.random.default_rng(1).integers(5, 40, (256, 64))
batch = ids, np.ones_like(ids), np.zeros_like(ids)
before = engine.infer(*batch)
return_free_memory()
worked = resident_bytes()
engine.rest()
return_free_memory()
print(worked - resident_bytes(), np.array_equal(before, engine.infer(*batch)))
"""


def test_rested_engine_is_smaller_and_answers_the_same(network: Path) -> None:
    """The buffers of a large batch are given back, and made again for the next; in a process that does nothing else."""
    done = subprocess.run([sys.executable, "-c", _REST, str(network)], capture_output=True, text=True, check=True)
    returned, is_equal = done.stdout.split()
    assert int(returned) > 4 << 20
    assert is_equal == "True"


def test_engine_rests_beside_calls_and_ends(network: Path) -> None:
    """From any thread, at any time: every answer is right, and after `close` there is nothing to rest."""
    engine = load_network(network, "f32", PLAN, blob=None)
    batches = [_batch(rows, 8 * rows, read_info(network).vocabulary) for rows in (1, 2, 3, 4)]
    expected = [engine.infer(*batch) for batch in batches]
    is_over = threading.Event()

    def rest() -> None:
        while not is_over.wait(0.001):  # without a pause nobody else would ever have a request in hand
            engine.rest()

    with ThreadPoolExecutor(4) as pool:
        resting = [pool.submit(rest) for _ in range(2)]
        try:
            found = list(pool.map(lambda turn: engine.infer(*batches[turn % 4]), range(200)))
        finally:
            is_over.set()
        for one in resting:
            one.result()
    for turn, logits in enumerate(found):
        np.testing.assert_allclose(logits, expected[turn % 4], atol=1e-5)
    engine.close()
    engine.rest()
    with pytest.raises(EngineFailed):
        engine.infer(*batches[0])


def test_rest_that_fails_is_told_and_fails_nobody(engine: OpenVinoEngine, caplog: pytest.LogCaptureFixture) -> None:
    """A call that the engine knows nothing of keeps it from resting; later it answers as before."""
    rows = _batch(512, 64, 40)
    before = engine.infer(*rows)
    stranger = engine._compiled.create_infer_request()
    lines = pack(*rows).inputs
    stranger.start_async({name: lines[name] for name in engine._inputs})
    while not (caplog.records or stranger.wait_for(0)):  # it begins in a thread of its own
        engine.rest()
    stranger.wait()
    assert [record.msg for record in caplog.records if record.levelname == "WARNING"] == ["engine_kept_buffers"]
    np.testing.assert_array_equal(before, engine.infer(*rows))
    engine.close()


def test_warm_up_tells_its_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """A network of its own runs, as the first model's would."""
    with caplog.at_level("INFO"):
        warm_up(PLAN)
    assert [record.msg for record in caplog.records] == ["engine_warm"]


def test_weights_are_unmapped_under_their_lock(engine: OpenVinoEngine, network: Path) -> None:
    """Closing waits for whoever drops the pages of the same file."""
    with mapping_lock(network / WEIGHTS):
        closing = threading.Thread(target=engine.close)
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
    closing.join(20)
    assert not closing.is_alive()
