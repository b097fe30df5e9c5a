"""Real models of every architecture, tiny, and trained on the gold texts until they know them by heart.

What they are asked afterwards is what they were shown, so the right answers are known; everything between the folder
on disk and the spans is the real thing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from tests.absa.families import FAMILIES
from tests.absa.gold import GOLD, GoldText
from tests.absa.scripted import content_ids, script
from tests.absa.tag_schemes import SCHEMES, TagScheme

MAX_TOKENS = 192
POLARITIES = ("neutral", "positive", "negative")  # an order that no other part of the project has
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_STEADY = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.1}
_DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "pooler_hidden_size": 32}
_V3 = {"type_vocab_size": 0, "position_biased_input": False, "position_buckets": 32, "share_att_key": True}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model class's name without its head, its family of tokenizers, and the tag scheme it is shown with."""

    name: str
    family: str
    scheme: str
    options: dict[str, object] = field(default_factory=dict)
    first_position: int = 0

    def build(self, head: str, *, labels: Sequence[str], tokenizer: Tokenizer) -> PreTrainedModel:
        """A model with random weights."""
        config = getattr(transformers, f"{self.name}Config")(
            **(_SIZES | _STEADY | self.options),
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=MAX_TOKENS + self.first_position,
            pad_token_id=pad_id(tokenizer),
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )
        model: PreTrainedModel = getattr(transformers, f"{self.name}For{head}")(config)
        return model


_DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "dropout": 0.0, "attention_dropout": 0.0}
_DISTIL |= {"seq_classif_dropout": 0.0}

ARCHITECTURES: dict[str, Architecture] = {
    "BERT": Architecture("Bert", "bert", "BIO"),
    "RoBERTa": Architecture("Roberta", "roberta", "gauneg's order", {"type_vocab_size": 1}, first_position=2),
    "DistilBERT": Architecture("DistilBert", "distilbert", "BIOES", _DISTIL),
    "MPNet": Architecture("MPNet", "mpnet", "IOB1", first_position=2),
    "ELECTRA": Architecture("Electra", "electra", "bare letters", {"embedding_size": 32}),
    "ALBERT": Architecture("Albert", "albert", "suffix", {"embedding_size": 32, "classifier_dropout_prob": 0.0}),
    "XLM-R": Architecture(
        "XLMRoberta", "xlm-roberta", "LABEL_n with a manifest", {"type_vocab_size": 1}, first_position=2
    ),
    "DeBERTa v1": Architecture("Deberta", "deberta v1", "joined polarity", _DISENTANGLED | {"type_vocab_size": 0}),
    "DeBERTa v2": Architecture(
        "DebertaV2",
        "deberta v2 by punctuation",
        "three parts",
        _DISENTANGLED | {"conv_kernel_size": 3, "type_vocab_size": 2},
    ),
    "DeBERTa v3": Architecture("DebertaV2", "deberta v2 converted", "gauneg's order", _DISENTANGLED | _V3),
}


def pad_id(tokenizer: Tokenizer) -> int:
    """Id of the padding token, under whichever name the family has it."""
    return next(number for name in ("[PAD]", "<pad>") if (number := tokenizer.token_to_id(name)) is not None)


def save_tagger(architecture: Architecture, folder: Path) -> TagScheme:
    """Writes a tagger that knows `GOLD` by heart into `folder`, and returns the scheme of its labels."""
    FAMILIES[architecture.family].save(folder)
    tokenizer, scheme = _raw(folder), SCHEMES[architecture.scheme]
    scripts = [script(tokenizer, gold, scheme, "all") for gold in GOLD.values()]
    rows = [_Row(list(ids), [0] * len(ids), logits.argmax(axis=-1).tolist()) for ids, logits in scripts]
    torch.manual_seed(3)
    model = architecture.build("TokenClassification", labels=scheme.labels, tokenizer=tokenizer)
    _overfit(model, *_batch(rows, pad_id(tokenizer)))
    model.save_pretrained(folder)
    return scheme


def save_rater(architecture: Architecture, folder: Path, texts: Sequence[GoldText], *, aspect_first: bool) -> None:
    """Writes a pair classifier that knows the polarity of every aspect of `texts` by heart into `folder`."""
    FAMILIES[architecture.family].save(folder)
    tokenizer = _raw(folder)
    rows = []
    for gold in texts:
        for aspect in gold.aspects:
            pair = (gold.text.strip(), gold.text[aspect.start : aspect.end])
            encoding = tokenizer.encode(*(reversed(pair) if aspect_first else pair))
            ids = content_ids(tokenizer, encoding.ids, encoding.special_tokens_mask)
            rows.append(_Row(ids, encoding.type_ids, [POLARITIES.index(aspect.polarity)]))
    torch.manual_seed(3)
    model = architecture.build("SequenceClassification", labels=POLARITIES, tokenizer=tokenizer)
    _overfit(model, *_batch(rows, pad_id(tokenizer)))
    model.save_pretrained(folder)


def _raw(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


@dataclass(frozen=True, slots=True)
class _Row:
    ids: list[int]
    types: list[int]
    labels: list[int]


def _batch(rows: Sequence[_Row], pad: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    longest = max(len(row.ids) for row in rows)
    widest = max(len(row.labels) for row in rows)
    inputs = {
        "input_ids": torch.tensor([row.ids + [pad] * (longest - len(row.ids)) for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows]),
        "token_type_ids": torch.tensor([row.types + [0] * (longest - len(row.ids)) for row in rows]),
    }
    return inputs, torch.tensor([row.labels + [-100] * (widest - len(row.labels)) for row in rows])


def _overfit(model: PreTrainedModel, inputs: dict[str, torch.Tensor], labels: torch.Tensor) -> None:
    """Trains until every answer is right by a wide margin; a model that does not get there within 400 steps fails."""
    torch.set_num_threads(1)  # in matrices this small, more threads wait for each other: on busy cores ten times longer
    if getattr(model.config, "type_vocab_size", 0) < 2:
        inputs = {name: values for name, values in inputs.items() if name != "token_type_ids"}
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    wanted = labels.flatten()
    for _ in range(400):
        logits = model(**inputs).logits.flatten(0, -2)
        losses = torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-100, reduction="none")
        if losses.max().item() < 0.3:
            break
        optimizer.zero_grad()
        losses.sum().div((wanted >= 0).sum()).backward()
        optimizer.step()
    else:
        raise AssertionError(f"{type(model).__name__} has not learnt its texts: the worst loss is {losses.max():.3f}")
    model.eval()
