"""A tiny real BERT to start from, published as the real encoder is: its tokenizer cuts and pads to 128 tokens."""

import json
from itertools import islice
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel

from absa_server.training.records import LabelledReview
from absa_server.training.sentences import write_reviews

# Words that tests name, so frequent that they stay whole whatever the grammar comes to hold.
WHOLE_WORDS = "the soup fish life was good bad hot"


@pytest.fixture(scope="session")
def reviews() -> list[LabelledReview]:
    """The first reviews of one seed."""
    return list(islice(write_reviews(3), 1000))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory, reviews: list[LabelledReview]) -> Path:
    """The folder of an encoder of two narrow layers, untrained, whose words are those of the reviews."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = published_tokenizer([review.text for review in reviews] + [WHOLE_WORDS] * 1000)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "name_or_path": "somewhere"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), **shape)).save_pretrained(folder)
    return folder


def published_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = WordPieceTrainer(vocab_size=1500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    closing, opening = (tokenizer.token_to_id(token) for token in ("[SEP]", "[CLS]"))
    tokenizer.post_processor = BertProcessing(("[SEP]", closing), ("[CLS]", opening))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    return tokenizer
