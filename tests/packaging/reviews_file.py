"""The tiny models' own sentences as a file of labelled reviews."""

import json
from pathlib import Path

from tests.tiny_models import write_sentences


def write_reviews(file: Path, *, count: int = 160, is_labelled: bool = True) -> Path:
    """One sentence a line; its aspect too, where it has one and labels are wanted."""
    lines = []
    for number, one in enumerate(write_sentences(count)):
        term = {"term": one.text[one.start : one.end], "start": one.start, "end": one.end, "polarity": one.polarity}
        labels = {"aspects": [term] if one.end else []} if is_labelled else {}
        lines.append(json.dumps({"id": number, "text": one.text, **labels}))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
