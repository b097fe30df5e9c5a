"""What the labels of a token classifier mean: tag scheme, category and polarity, read from their names.

Accepts BIO, IOB1, BIOES, BILOU, BMES and IO, written as prefix (`B-ASP`), suffix (`ASP-B`), bare letters (`B`) or
joined (`BPOS`, `BA`), with a joint polarity (`B-POS`, `B-ASP-Positive`) or a category (`B-Food`). Knows no text and no
logits. A scheme is believed only when it explains the whole label set.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from absa_server.absa.polarity import canonical_polarity
from absa_server.errors import InvalidModel

Position = Literal["O", "B", "I", "E", "S"]

OUTSIDE = {"O", "OUT", "OUTSIDE", "OTHER", "X", "PAD", "[PAD]", "[CLS]", "[SEP]", "<S>", "</S>", "<PAD>", "EQ"}
PLAIN = {"ASP", "ASPECT", "ASPECTTERM", "TERM", "A", "AT", "TARGET", "ENTITY"}
POSITIONS: dict[str, Position] = {"B": "B", "I": "I", "M": "I", "T": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
# The letters that one type of span may use together; a label set whose letters fit none of them is no tag scheme.
SCHEMES = [set("BI"), set("BIES"), set("BILU"), set("BMES"), set("T")]
UNNAMED = re.compile(r"LABEL_\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """One label. `polarity` is canonical, `polarity_label` the model's own name; both None where it has none."""

    position: Position
    category: str | None = None
    polarity: str | None = None
    polarity_label: str | None = None


@dataclass(frozen=True, slots=True)
class TagSet:
    """The tags of a model, by label id."""

    tags: tuple[Tag, ...]

    @property
    def polarities(self) -> tuple[str, ...]:
        """The polarities that a joint tagger tells apart, in label order; empty for a plain tagger."""
        return tuple(dict.fromkeys(tag.polarity for tag in self.tags if tag.polarity is not None))

    @property
    def is_joint(self) -> bool:
        """Whether the tags themselves carry polarity, so that no second model is needed."""
        return bool(self.polarities)


def parse_tags(id2label: Mapping[int, str], renamed: Mapping[str, str] | None = None) -> TagSet:
    """The meaning of every label. `renamed` (the manifest's `aspect.labels`) replaces names before they are read.

    Raises `InvalidModel` when an id is missing, a name is `LABEL_n`, no label means "outside", or no scheme fits.
    """
    names = _names(id2label, renamed or {})
    inside = [name for name in names if name.upper() not in OUTSIDE]
    if len(inside) == len(names):
        raise InvalidModel(f'no label of {names} means "outside" (O); name it in absa.json under aspect.labels')
    if not inside:
        raise InvalidModel(f"every label of {names} means outside; a tagger needs labels such as B-ASP and I-ASP")
    parsed = _parse_inside(inside)
    return TagSet(tuple(_tag(*parsed[name]) if name in parsed else Tag("O") for name in names))


def _names(id2label: Mapping[int, str], renamed: Mapping[str, str]) -> list[str]:
    missing = [i for i in range(len(id2label)) if i not in id2label]
    if missing:
        raise InvalidModel(f"config.json: id2label must name ids 0 to {len(id2label) - 1}; {missing} are missing")
    own = [id2label[i].strip() for i in range(len(id2label))]
    unused = sorted(set(renamed) - set(own))
    if unused:
        raise InvalidModel(f"absa.json: aspect.labels names {unused}, which the model does not have; it has {own}")
    names = [renamed.get(name, name).strip() for name in own]
    unnamed = [name for name in names if UNNAMED.fullmatch(name)]
    if unnamed:
        example = ", ".join(f'"{name}": "…"' for name in unnamed)
        raise InvalidModel(
            f"labels {unnamed} say nothing about their meaning, and guessing would be silent; add to absa.json: "
            f'{{"aspect": {{"labels": {{{example}}}}}}} with values such as O, B-ASP, I-ASP'
        )
    return names


def _prefix(name: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"([BIESLUMT])[-_ ](.+)", name)
    return (match[1], match[2]) if match else None


def _suffix(name: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"(.+)[-_ ]([BIESLUMT])", name)
    return (match[2], match[1]) if match else None


def _bare(name: str) -> tuple[str, str] | None:
    return (name.upper(), "") if re.fullmatch(r"[BIESLUMT]", name, re.IGNORECASE) else None


def _joined(name: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"([BIESLUM])(.+)", name)
    return (match[1], match[2]) if match else None


def _unmarked(name: str) -> tuple[str, str] | None:
    """`ASPECT` or `positive` beside `O`: the IO scheme without its letter."""
    known = name.upper() in PLAIN or canonical_polarity(name) is not None
    return ("T", name) if known else None


def _parse_inside(names: list[str]) -> dict[str, tuple[str, str]]:
    """Letter and remainder of each label by the first reading that explains all of them."""
    readings: list[tuple[Callable[[str], tuple[str, str] | None], bool]] = [
        (_bare, False),
        (_prefix, False),
        (_suffix, False),
        (_unmarked, False),
        (_joined, True),  # `Interior` looks like I + nterior: believed only where every type has both its B and its I
    ]
    for reading, needs_pairs in readings:
        parsed = {name: found for name in names if (found := reading(name)) is not None}
        if len(parsed) == len(set(names)) and _is_scheme(list(parsed.values()), needs_pairs=needs_pairs):
            return parsed
    raise InvalidModel(
        f"no tag scheme (BIO, BIOES, BILOU, IO; prefix, suffix or bare letters) explains the labels {names}; "
        "rename them in absa.json under aspect.labels, to names such as B-ASP and I-ASP"
    )


def _is_scheme(parsed: list[tuple[str, str]], *, needs_pairs: bool) -> bool:
    letters = {letter for letter, _ in parsed}
    if not any(letters <= scheme for scheme in SCHEMES):
        return False
    by_type: dict[str, set[str]] = {}
    for letter, kind in parsed:
        by_type.setdefault(kind, set()).add(letter)
    return not needs_pairs or all("B" in found and len(found) > 1 for found in by_type.values())


def _tag(letter: str, remainder: str) -> Tag:
    """A tag from its letter and the rest: a polarity, plain words for "aspect", and what is left is the category."""
    whole = canonical_polarity(remainder)
    if whole is not None:
        return Tag(POSITIONS[letter], None, whole, remainder)
    parts = re.split(r"([-_ ])", remainder)  # names at even places, separators at odd ones
    polarity_label = next((part for part in parts[::2] if canonical_polarity(part) is not None), None)
    while parts and (parts[0] == polarity_label or parts[0].upper() in PLAIN | {""}):
        parts = parts[2:]
    while parts and (parts[-1] == polarity_label or parts[-1].upper() in PLAIN | {""}):
        parts = parts[:-2]
    polarity = canonical_polarity(polarity_label) if polarity_label is not None else None
    return Tag(POSITIONS[letter], "".join(parts) or None, polarity, polarity_label)
