"""The training loop, on a real network small enough to learn within a second."""

import random

import pytest
import torch
from transformers import BertForSequenceClassification, BertForTokenClassification

from absa_server.training.examples import IGNORED, Example
from absa_server.training.fine_tuning import collate, fine_tune, shuffled_batches
from absa_server.training.plan import Recipe

RECIPE = Recipe(learning_rate=2e-3, head_learning_rate=1e-2, batch_size=8)


def examples(count: int = 64) -> list[Example]:
    """Token 10 to 12 says which class the tokens, and the whole, have."""
    rng = random.Random(0)
    made = []
    for _ in range(count):
        kind, length = rng.randrange(3), rng.randrange(2, 9)
        made.append(Example([2, *[10 + kind] * length, 3], [0] * (length + 2), [kind] * (length + 1) + [IGNORED]))
    return made


def trained(model_class, encoder, *, seed: int = 1, epochs: int = 8):
    torch.manual_seed(seed)
    model = model_class.from_pretrained(encoder, num_labels=3, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    seen: list[int] = []
    fine_tune(model, examples(), recipe=RECIPE, epochs=epochs, seed=seed, on_batch=seen.append)
    assert sum(seen) == epochs * 64
    return model


@pytest.mark.parametrize("model_class", [BertForTokenClassification, BertForSequenceClassification])
def test_model_learns_what_its_tokens_say(encoder, model_class):
    """After a few passes every token, or every whole, has its class."""
    model = trained(model_class, encoder)
    batch = collate(examples(16))
    labels = batch.pop("labels")
    with torch.inference_mode():
        predicted = model(**batch).logits.argmax(-1)
    wanted = labels if predicted.ndim == 2 else labels[:, 0]
    assert bool((predicted == wanted)[wanted != IGNORED].all())


def test_same_seed_trains_the_same_weights(encoder):
    """Bit for bit, on one machine; another seed trains others."""
    one, again, other = (trained(BertForTokenClassification, encoder, seed=n, epochs=1).state_dict() for n in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_embeddings_stay_as_they_were(encoder):
    """Words that the reviews never show keep what pretraining knew of them."""
    before = BertForTokenClassification.from_pretrained(encoder, num_labels=3).bert
    after = trained(BertForTokenClassification, encoder, epochs=1).bert
    assert torch.equal(before.embeddings.word_embeddings.weight, after.embeddings.word_embeddings.weight)
    assert not torch.equal(before.encoder.layer[0].output.dense.weight, after.encoder.layer[0].output.dense.weight)


def test_head_for_training_alone_is_not_kept(encoder):
    """The sentiment model that is saved has the layers of its class and no more."""
    names = set(trained(BertForSequenceClassification, encoder, epochs=1).state_dict())
    assert not [name for name in names if "token_head" in name]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 700])
def test_batches_hold_every_example_once(count):
    """Whatever the count, nothing is lost or repeated, and no batch is larger than asked."""
    made = [Example([number], [0], [0]) for number in range(count)]
    batches = shuffled_batches(made, 8, random.Random(0))
    assert sorted(one.input_ids[0] for batch in batches for one in batch) == list(range(count))
    assert max(len(batch) for batch in batches) <= 8


def test_batches_hold_texts_of_like_lengths():
    """Little of a batch is padding: its lengths lie closer together than those of a random draw."""
    rng = random.Random(0)
    made = [Example([1] * rng.randrange(5, 60), [], []) for _ in range(640)]
    spreads = [
        max(lengths) - min(lengths)
        for batch in shuffled_batches(made, 16, random.Random(0))
        if (lengths := [len(one.input_ids) for one in batch])
    ]
    assert sum(spreads) / len(spreads) < 10
