"""From labelled reviews to a folder of two models: encoder in, fine-tuned, scored, put in place.

The one module that knows the order of these steps. Imports torch, so whoever imports it waits for that.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification, BertForTokenClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from absa_server.engines.cores import available_cores
from absa_server.training.base_model import read_tokenizer
from absa_server.training.errors import TrainingError
from absa_server.training.examples import TAGS, Example, aspect_examples, sentiment_examples
from absa_server.training.fine_tuning import fine_tune
from absa_server.training.held_out import is_held_out, measure
from absa_server.training.model_folder import RECORD_FILE, replaced_folder, write_json, write_tokenizer
from absa_server.training.plan import Plan
from absa_server.training.records import POLARITIES, LabelledReview
from absa_server.training.sentences import write_reviews
from absa_server.training.side_by_side import run_side_by_side

MODEL_CLASSES = {"aspect": BertForTokenClassification, "sentiment": BertForSequenceClassification}
LABELS = {"aspect": TAGS, "sentiment": POLARITIES}

READABLE = 0o644  # safetensors creates its files for their owner alone; a container may serve as another user

MEASURED_REVIEWS = 600  # more would make training longer, and the scores hardly firmer

Report = Callable[[str, int, int], None]


def generated_reviews(count: int, seed: int) -> list[LabelledReview]:
    """The first reviews that this seed writes."""
    return list(islice(write_reviews(seed), count))


def train_models(
    reviews: Sequence[LabelledReview], folder: Path, *, base: Path, plan: Plan, digest: str, report: Report
) -> dict[str, Any]:
    """Trains both models and puts them at `folder`, whole or not at all; what training.json says of them.

    `report` hears the name of a stage, the examples done and the examples in all. Raises `TrainingError`.
    """
    started = time.monotonic()
    training = [review for review in reviews if not is_held_out(review)]
    held_out = [review for review in reviews if is_held_out(review)][:MEASURED_REVIEWS]
    if not any(review.aspects for review in training):
        raise TrainingError(f"expected reviews with aspects to train on, got {len(training)} reviews without")
    with replaced_folder(folder) as fresh:
        examples = _examples(training, base, plan)
        run_side_by_side(
            {role: partial(_train, role, examples[role], fresh / role, base=base, plan=plan) for role in examples},
            report,
        )
        write_json(fresh / "absa.json", {"version": 1})
        record = {
            "content_hash": digest,
            "plan": asdict(plan),
            "reviews": len(reviews),
            "held_out": asdict(measure(fresh, held_out)),
            "seconds": round(time.monotonic() - started, 1),
        }
        write_json(fresh / RECORD_FILE, record)
    return record


def _examples(reviews: Sequence[LabelledReview], base: Path, plan: Plan) -> dict[str, list[Example]]:
    tokenizer = read_tokenizer(base, max_tokens=plan.max_tokens)
    return {
        "aspect": aspect_examples(reviews[: plan.aspect_reviews], tokenizer),
        "sentiment": sentiment_examples(reviews, tokenizer, aspects_per_review=plan.aspects_per_review),
    }


def _train(role: str, examples: Sequence[Example], folder: Path, *, base: Path, plan: Plan, report: Report) -> None:
    # Batches are too small to share cores well: measured, a model a core trains both in two thirds of the time that one
    # after the other takes on all of them. The count is fixed, because another one rounds differently.
    torch.set_num_threads(max(1, available_cores() // len(MODEL_CLASSES)))
    done, total = 0, len(examples) * plan.epochs

    def on_batch(size: int) -> None:
        nonlocal done
        done += size
        report(role, done, total)

    model = _new_model(role, base, plan.seed)
    fine_tune(model, examples, recipe=plan.recipe, epochs=plan.epochs, seed=plan.seed, on_batch=on_batch)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(READABLE)
    write_tokenizer(base, folder)


def _new_model(role: str, base: Path, seed: int) -> PreTrainedModel:
    """The encoder with a new head. No dropout: every sentence is seen once, so there is nothing to overfit."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.manual_seed(seed)
    names = dict(enumerate(LABELS[role]))
    return MODEL_CLASSES[role].from_pretrained(
        base,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        dtype=torch.float32,
    )
