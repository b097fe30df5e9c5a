"""Entity tags of analyses: known before any inference, because a model's answer follows from what it was asked."""

import hashlib
import json

from absa_invoke.schemas import AnalyzeRequest, Parameters

# As the containers have them (docs/api.md): to leave a parameter out is to ask for its default.
_DEFAULTS = Parameters(mode="chain", min_score=0.0, offsets="codepoint", return_text=False)


def etag(form: AnalyzeRequest, *, release: str) -> str:
    """The tag of the answer that models of this release give.

    The text is taken as it is once decoded, not in a Unicode normal form: offsets point into exactly this string. The
    tag is a weak one: a text's scores may differ in their last digit with the texts that it is computed beside.
    """
    given = {} if form.parameters is None else form.parameters.model_dump(exclude_none=True)
    asked = [release, form.text, form.model, sorted((_DEFAULTS.model_dump() | given).items())]
    return f'W/"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}"'


def is_confirmed(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has the answer already, by the weak comparison that RFC 9110 prescribes here."""
    if if_none_match is None:
        return False
    known = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
