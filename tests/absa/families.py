"""A tokenizer of each family of models, trained in a blink on a few sentences, in the form `save_pretrained` writes.

Only the vocabularies are made here, as the files that each family publishes; normalizer, pre-tokenizer and
post-processor are those of transformers' own classes and converters: each `tokenizer.json` has its family's real parts.
"""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import DebertaV2Converter, SpmConverter, XLMRobertaConverter

# No emoji, Greek, Coptic, runes, ligatures or combining marks in here: in the gold texts those are unknown characters.
CORPUS = [
    "The food was good , the service slow , the other food bad .",
    "Great battery life , awful fan noise , a fine screen , menu and wine !",
    "Loved the food and the price , the pizza and the beer , not the waiter .",
    "The café has crème brûlée and a naïve jalapeño . Käsespätzle für Führung à la crème",
    "牛肉面 很 好 吃 ， 但 是 服务 不 行 。 价格 一 般 この ラーメン は 美 味 し い",
    "The wi-fi , the built-in keyboard and a state-of-the-art screen-size – trackpad hinge",
    "The chef's special , the waiter's tone , it's staff’s attitude ; don't 'skip' the '90s menu .",
    "foodies like food-court food and Wi-Fi , iPhone , RAM ( 8GB ) costs $5.99 SSD ; USB-C port & C++ #1 100%",
    "We went home early , it was fine . Delicious fresh fish [ SEP CLS ] < s pad mask unk > / MASK PAD UNK",
]


def _write_word_pieces(folder: Path, *, special: list[str]) -> None:
    """Whole words that occur twice, and every character, alone and inside a word. (The library's trainer breaks ties at
    random, so that no two runs of the tests would have the same vocabulary.)
    """
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in CORPUS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text).strip())
    )
    characters = sorted({character for word in words for character in word})
    whole = [word for word, count in words.items() if count > 1 and len(word) > 1]
    pieces = [*special, *characters, *(f"##{character}" for character in characters), *whole]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")


def _write_byte_pairs(folder: Path, *, special: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.model.save(str(folder))


def _write_sentence_pieces(folder: Path, *, file: str, **numbering: object) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20),  # so that whole words become pieces, as in real vocabularies
        model_writer=model,
        model_type="unigram",
        vocab_size=300,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        **numbering,
    )
    (folder / file).write_bytes(model.getvalue())


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
_DEBERTA = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
_DEBERTA |= {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}


@dataclass(frozen=True, slots=True)
class Family:
    """Models that share a tokenizer. `write` puts the published vocabulary files into a folder."""

    tokenizer_class: str
    write: Callable[[Path], None]
    options: dict[str, object] = field(default_factory=dict)
    rebuild: Callable[[PreTrainedTokenizerFast, Path], Tokenizer] | None = None

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` and `tokenizer_config.json`, and nothing of the slow form, into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        slow = folder / "slow"
        slow.mkdir()
        self.write(slow)
        tokenizer = getattr(transformers, self.tokenizer_class).from_pretrained(slow, **self.options)
        tokenizer.save_pretrained(folder)
        if self.rebuild:
            self.rebuild(tokenizer, slow).save(str(folder / "tokenizer.json"))


def _word_pieces(folder: Path) -> None:
    _write_word_pieces(folder, special=BERT)


def _mpnet(folder: Path) -> None:
    _write_word_pieces(folder, special=["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])


def _byte_pairs(folder: Path) -> None:
    _write_byte_pairs(folder, special=ROBERTA)


def _deberta_v1(folder: Path) -> None:
    _write_byte_pairs(folder, special=BERT)


def _albert(folder: Path) -> None:
    _write_sentence_pieces(folder, file="spiece.model", normalization_rule_name="nmt_nfkc", **_ALBERT)


def _xlm_roberta(folder: Path) -> None:
    _write_sentence_pieces(folder, file="sentencepiece.bpe.model", normalization_rule_name="nmt_nfkc")


def _deberta(folder: Path) -> None:
    _write_sentence_pieces(folder, file="spm.model", normalization_rule_name="nmt_nfkc", **_DEBERTA)


def _converted(
    converter: type[SpmConverter], file: str, tokenizer: PreTrainedTokenizerFast, slow: Path, **options: object
) -> Tokenizer:
    """The form in which the hub holds tokenizers that transformers 4 converted: SentencePiece's own normalization."""
    original = SimpleNamespace(
        vocab_file=str(slow / file), convert_tokens_to_ids=tokenizer.convert_tokens_to_ids, **options
    )
    converted = converter(original).converted()
    converted.add_special_tokens(list(tokenizer.added_tokens_decoder.values()))
    return converted


def _converted_deberta(tokenizer: PreTrainedTokenizerFast, slow: Path) -> Tokenizer:
    return _converted(DebertaV2Converter, "spm.model", tokenizer, slow, do_lower_case=False, split_by_punct=False)


def _converted_xlm_roberta(tokenizer: PreTrainedTokenizerFast, slow: Path) -> Tokenizer:
    return _converted(XLMRobertaConverter, "sentencepiece.bpe.model", tokenizer, slow)


FAMILIES: dict[str, Family] = {
    "bert": Family("BertTokenizer", _word_pieces),
    "bert cased": Family("BertTokenizer", _word_pieces, {"do_lower_case": False}),
    "distilbert": Family("DistilBertTokenizer", _word_pieces),
    "electra": Family("ElectraTokenizer", _word_pieces),
    "mpnet": Family("MPNetTokenizer", _mpnet),
    "roberta": Family("RobertaTokenizer", _byte_pairs),
    "roberta untrimmed": Family("RobertaTokenizer", _byte_pairs, {"trim_offsets": False}),
    "roberta prefix space": Family("RobertaTokenizer", _byte_pairs, {"add_prefix_space": True}),
    "deberta v1": Family("DebertaTokenizer", _deberta_v1),
    "albert": Family("AlbertTokenizer", _albert),
    "xlm-roberta": Family("XLMRobertaTokenizer", _xlm_roberta),
    "deberta v2": Family("DebertaV2Tokenizer", _deberta),
    "xlm-roberta converted": Family("XLMRobertaTokenizer", _xlm_roberta, rebuild=_converted_xlm_roberta),
    "deberta v2 converted": Family("DebertaV2Tokenizer", _deberta, rebuild=_converted_deberta),
    "deberta v2 by punctuation": Family("DebertaV2Tokenizer", _deberta, {"split_by_punct": True}),
}
