"""Slow tokenizers (a SentencePiece model, a vocabulary) converted to the fast form at load, when transformers can."""

from pathlib import Path

from absa_server.errors import InvalidModel


def convert_slow_tokenizer(folder: Path) -> str:
    """The `tokenizer.json` of a folder that has none. Raises `InvalidModel` when it cannot be converted."""
    try:
        from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: PLC0415  2 s that most artifacts never need
    except ImportError as error:
        raise InvalidModel(
            f"{folder.name}/ has no tokenizer.json, and this image cannot convert slow tokenizers; "
            "save it in the fast form: `AutoTokenizer.from_pretrained(…).save_pretrained(…)`"
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    except Exception as error:  # converters raise whatever their formats' libraries raise
        raise InvalidModel(f"{folder.name}/ has a slow tokenizer that cannot be converted: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InvalidModel(
            f"{folder.name}/ has a tokenizer without a fast form ({type(tokenizer).__name__}), which gives no offsets"
        )
    return str(tokenizer.backend_tokenizer.to_str())
