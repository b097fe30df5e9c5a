"""The one model's states, under success, failure, and a stop in the middle of a load."""

import logging
import threading

import pytest

from absa_server.errors import InvalidModel, ModelNotReady
from absa_server.serving.model_slot import ModelSlot


def test_require_while_loading_says_when_to_retry(loaded):
    """A model that still loads is a 503 worth retrying, and `/ping` is not ready."""
    gate = threading.Event()
    slot = ModelSlot(lambda: gate.wait(30) and loaded)
    slot.start()
    try:
        assert not slot.is_ready
        with pytest.raises(ModelNotReady, match="still loading") as caught:
            slot.require()
        assert caught.value.retry_after_s is not None
    finally:
        gate.set()


def test_start_returns_the_model_once_loaded(loaded, eventually):
    """Loading runs in a thread of its own; then the model is there."""
    slot = ModelSlot(lambda: loaded)
    slot.start()
    eventually(lambda: slot.is_ready)
    assert slot.require() is loaded


@pytest.mark.parametrize("error", [InvalidModel("aspect/config.json is missing"), RuntimeError("boom"), MemoryError()])
def test_failed_load_stays_failed_and_is_logged_once(error, eventually, caplog):
    """A failed load answers 503 for ever, with its reason, and one log line tells it."""

    def load():
        raise error

    slot = ModelSlot(load)
    with caplog.at_level(logging.INFO):
        slot.start()
        eventually(lambda: "failed" in repr(slot))
        for _ in range(3):
            assert not slot.is_ready
            with pytest.raises(ModelNotReady, match="could not be loaded") as caught:
                slot.require()
    assert caught.value.retry_after_s is None, "waiting does not mend a broken model"
    assert [record.message for record in caplog.records] == ["model_load_failed"]


def test_no_model_expected_is_ready_at_once():
    """A multi-model container is healthy with nothing loaded, but has nothing to answer with."""
    slot = ModelSlot(None)
    slot.start()
    assert slot.is_ready
    with pytest.raises(ModelNotReady, match="SAGEMAKER_MULTI_MODEL"):
        slot.require()


def test_close_frees_the_model(loaded, engine, eventually):
    """After close the engine is closed and nothing answers."""
    slot = ModelSlot(lambda: loaded)
    slot.start()
    eventually(lambda: slot.is_ready)
    slot.close()
    assert engine.is_closed
    with pytest.raises(ModelNotReady):
        slot.require()


def test_close_during_a_load_frees_what_arrives_later(loaded, engine, eventually):
    """A model that finishes loading after the stop is closed, not kept."""
    gate, entered = threading.Event(), threading.Event()

    def load():
        entered.set()
        gate.wait(30)
        return loaded

    slot = ModelSlot(load)
    slot.start()
    assert entered.wait(10)
    slot.close()
    gate.set()
    eventually(lambda: engine.is_closed)
    assert not slot.is_ready
