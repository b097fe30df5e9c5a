"""A context-free grammar whose sentences carry their own aspects. Knows no review, no vocabulary and no model.

A grammar is text: `name: alternative | alternative`, going on over lines that are indented; `3*` before an alternative
makes it three times as likely. Inside an alternative stand

    {name}          any alternative of that rule
    {.name}         the rule `topic.name` of the current topic, or `name` where the topic has none
    {@name}         the rule `domain.name` of the current domain
    {name~} {name!} the rule for the current polarity (`adj+`, `adj-`, `adj0`), and for its opposite
    {name:-}        the rule with a new topic, told of with that polarity (`+ - 0 ~ ! ?`, the last one: either)
    {staff/name:+}  the same with a topic that is given
    <…>             an aspect term of the current polarity; `<…|->` says another
    a(n)            the article that the next letter asks for
"""

import random
import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from absa_server.training.errors import GrammarError

TOKEN = re.compile(r"\{([^{}]+)\}|[<>]|\|[-+0]>|[^{}<>|]+|\|")
WEIGHT = re.compile(r"(\d+)\*\s*(.*)", re.DOTALL)
OPPOSITE = {"+": "-", "-": "+", "0": "0"}


@dataclass(frozen=True, slots=True)
class Context:
    """What a sentence is about while it is being written; polarity is one of `+`, `-` and `0`."""

    domain: str
    topic: str
    polarity: str


@dataclass(frozen=True)
class Rule:
    """The alternatives of one symbol and their weights."""

    name: str
    alternatives: tuple[str, ...]
    weights: tuple[int, ...]

    @cached_property
    def thresholds(self) -> list[int]:
        """Running sums of the weights."""
        return list(accumulate(self.weights))


def _parse_rule(name: str, body: str) -> Rule:
    weights, alternatives = [], []
    for alternative in re.split(r"\|(?![-+0]>)", body):
        weighted = WEIGHT.fullmatch(alternative.strip())
        weights.append(int(weighted[1]) if weighted else 1)
        alternatives.append(weighted[2] if weighted else alternative.strip())
    return Rule(name, tuple(alternatives), tuple(weights))


def parse_rules(text: str) -> dict[str, Rule]:
    """The rules of one grammar text, by name. Lines that begin with `#` are comments. Raises `GrammarError`."""
    bodies: dict[str, str] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            name, colon, line = line.partition(":")  # noqa: PLW2901  what follows the colon is the body's first part
            if not colon or name in bodies:
                raise GrammarError(f"line {number}: expected one rule 'name: alternatives' a name, got {name!r}")
        bodies[name] = f"{bodies.get(name, '')} {line}".strip()
    return {name: _parse_rule(name, body) for name, body in bodies.items()}


class Grammar:
    """Rules, and how a sentence is drawn from them. Every draw comes from the caller's `random.Random`."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        self._rules = rules
        self._tokens: dict[str, list[re.Match[str]]] = {}

    def draw(self, name: str, context: Context, rng: random.Random) -> str:
        """One expansion of a rule, with every aspect term marked as `[term|polarity]`. Raises `GrammarError`."""
        marked = self._expand(name, context, rng)
        return re.sub(r"a\(n\)(?= *\[?([a-z0-9]))", _article, re.sub(r"\s+", " ", marked), flags=re.IGNORECASE).strip()

    def _expand(self, reference: str, context: Context, rng: random.Random) -> str:
        rule = self._rule(reference, context)
        (alternative,) = rng.choices(rule.alternatives, cum_weights=rule.thresholds)
        return "".join(self._write(token, context, rng) for token in self._tokenize(alternative))

    def _tokenize(self, alternative: str) -> list[re.Match[str]]:
        if alternative not in self._tokens:
            self._tokens[alternative] = list(TOKEN.finditer(alternative))
        return self._tokens[alternative]

    def _write(self, token: re.Match[str], context: Context, rng: random.Random) -> str:
        written = token[0]
        if written == "<":
            return "["
        if written == ">":
            return f"|{context.polarity}]"
        if written.endswith(">"):
            return written.replace(">", "]")
        return self._substitute(token[1], context, rng) if token[1] else written

    def _substitute(self, symbol: str, context: Context, rng: random.Random) -> str:
        reference, colon, polarity = symbol.partition(":")
        if colon:
            topic, _, reference = reference.rpartition("/")
            context = replace(context, polarity=self._polarity(polarity, context, rng))
            context = replace(context, topic=topic or self._expand("@topics", context, rng))
        return self._expand(reference, context, rng)

    def _polarity(self, symbol: str, context: Context, rng: random.Random) -> str:
        named = {"~": context.polarity, "!": OPPOSITE[context.polarity]}
        return rng.choice("+-") if symbol == "?" else named.get(symbol, symbol)

    def _rule(self, reference: str, context: Context) -> Rule:
        name = reference.replace("~", context.polarity).replace("!", OPPOSITE[context.polarity])
        if name.startswith("@"):
            name = f"{context.domain}.{name[1:]}"
        elif name.startswith("."):
            name = context.topic + name if context.topic + name in self._rules else name[1:]
        if name not in self._rules:
            raise GrammarError(f"no rule {name!r}, asked for as {reference!r} in {context}")
        return self._rules[name]


def _article(match: re.Match[str]) -> str:
    article = "an" if match[1].lower() in "aeiou" else "a"
    return article.capitalize() if match[0][0] == "A" else article
