"""A pair of real models, tiny and trained in seconds: BERT with WordPiece, an aspect tagger and a sentiment classifier.

Their answers on the words they know are right and far from ties; on others they are whatever they are, which is as
good for comparing two ways to run them. Knows no server.
"""

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTokenizer,
    PreTrainedModel,
)

# Few positions, so that a text of a few lines already needs windows.
MAX_TOKENS = 64
TAGS = ("O", "B-ASP", "I-ASP")
POLARITIES = ("positive", "neutral", "negative")
SEED = 7

TERMS = ("food", "battery life", "staff", "room service", "spicy tuna roll", "screen", "café", "decor")
OPINIONS = {"great": "positive", "lovely": "positive", "average": "neutral", "okay": "neutral", "bad": "negative",
            "slow": "negative"}  # fmt: skip
OPENINGS = ("", "we think ", "well, ", "my friends came again, and ", "on a Friday ")
ENDINGS = (".", "!", ", again.", " for us.", ", nothing else to say.")
# Whole words, and ends of words: what is missing is cut into pieces, or into letters.
WORDS = ("the", "was", "we", "will", "come", "came", "again", "think", "well", "and", "on", "for", "us", "my", "food",
         "life", "room", "roll", "staff", "dec", "bat", "serv", "scr", "great", "bad", "okay", "love")  # fmt: skip
ENDS = ("tery", "ice", "een", "or", "ly", "ing", "er", "end", "una", "fe")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with one aspect at `start:end`, or none: then both are 0."""

    text: str
    start: int = 0
    end: int = 0
    polarity: str = "neutral"


def write_sentences(count: int) -> list[Sentence]:
    """Sentences with aspects at many places; one in eight has none. The same every time."""
    choose = random.Random(SEED).choice
    return [
        Sentence(f"{choose(OPENINGS)}we will come again{choose(ENDINGS)}")
        if number % 8 == 0
        else _sentence(choose(OPENINGS), choose(TERMS), choose(list(OPINIONS)), choose(ENDINGS))
        for number in range(count)
    ]


def _sentence(opening: str, term: str, opinion: str, ending: str) -> Sentence:
    start = len(opening) + len("the ")
    return Sentence(f"{opening}the {term} was {opinion}{ending}", start, start + len(term), OPINIONS[opinion])


def build_tiny_models(folder: Path, *, hidden_size: int = 48, epochs: int = 12) -> Path:
    """`folder` with aspect/ and sentiment/ in it. The same models for the same versions of the libraries.

    Without `epochs` their weights are random: as good for measuring time and memory.
    """
    sentences = write_sentences(256)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        tokenizer = _tokenizer()
        tagger = BertForTokenClassification(_config(tokenizer, TAGS, hidden_size))
        _train(tagger, *_tag_batch(tokenizer, sentences), epochs=epochs)
        rater = BertForSequenceClassification(_config(tokenizer, POLARITIES, hidden_size))
        _train(rater, *_pair_batch(tokenizer, [one for one in sentences if one.end]), epochs=epochs)
    for model, name in ((tagger, "aspect"), (rater, "sentiment")):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


def _tokenizer() -> BertTokenizer:
    """Written by hand: the trainer of the tokenizers library gives another vocabulary each time."""
    single = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation, *single, *WORDS]
    pieces += [f"##{piece}" for piece in (*single, *ENDS)]
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, model_max_length=MAX_TOKENS)


def _config(tokenizer: BertTokenizer, labels: Sequence[str], hidden_size: int) -> BertConfig:
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )


def _tag_batch(tokenizer: BertTokenizer, sentences: Sequence[Sentence]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Each sentence with the three that follow it, cut at the model's length: aspects at every position."""
    reviews = [[*islice(cycle(sentences), first, first + 4)] for first in range(len(sentences))]
    texts = [" ".join(one.text for one in review) for review in reviews]
    batch = tokenizer(texts, padding=True, truncation=True, return_offsets_mapping=True, return_tensors="pt").data
    rows = zip(reviews, batch.pop("offset_mapping").tolist(), strict=True)
    return batch, torch.tensor([[_tag(review, start, end) for start, end in offsets] for review, offsets in rows])


def _tag(review: Sequence[Sentence], start: int, end: int) -> int:
    """Label of the token at `start:end` of the joined sentences; -100, which is no label, for special tokens."""
    if start == end:
        return -100
    for sentence in review:
        if sentence.start <= start < sentence.end:
            return TAGS.index("B-ASP" if start == sentence.start else "I-ASP")
        start -= len(sentence.text) + 1
    return TAGS.index("O")


def _pair_batch(
    tokenizer: BertTokenizer, sentences: Sequence[Sentence]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    terms = [one.text[one.start : one.end] for one in sentences]
    batch = tokenizer([one.text for one in sentences], terms, padding=True, return_tensors="pt").data
    return batch, torch.tensor([POLARITIES.index(one.polarity) for one in sentences])


def _train(
    model: PreTrainedModel, batch: dict[str, torch.Tensor], labels: torch.Tensor, *, epochs: int, rows: int = 32
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for chosen in torch.arange(len(labels)).repeat(epochs).split(rows) if epochs else ():
        optimizer.zero_grad()
        model(**{name: values[chosen] for name, values in batch.items()}, labels=labels[chosen]).loss.backward()
        optimizer.step()
    model.eval()
