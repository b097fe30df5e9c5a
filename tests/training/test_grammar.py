"""The grammar's notation, each mark by itself."""

import random

import pytest

from absa_server.training.errors import GrammarError
from absa_server.training.grammar import Context, Grammar, parse_rules

CONTEXT = Context(domain="cafes", topic="tea", polarity="+")


def draw(text: str, *, context: Context = CONTEXT, seed: int = 0) -> str:
    return Grammar(parse_rules(text)).draw("start", context, random.Random(seed))


def test_same_seed_draws_the_same_sentence():
    """All chance comes from the caller's generator."""
    rules = "start: {word} {word} {word}\nword: a | b | c | d | e"
    assert [draw(rules, seed=seed) for seed in range(9)] == [draw(rules, seed=seed) for seed in range(9)]


def test_weight_makes_an_alternative_more_likely():
    """`9*` before an alternative draws it nine times as often."""
    rng, grammar = random.Random(0), Grammar(parse_rules("start: 9*often | seldom"))
    drawn = [grammar.draw("start", CONTEXT, rng) for _ in range(1000)]
    assert 870 < drawn.count("often") < 930


@pytest.mark.parametrize(("polarity", "written"), [("+", "[tea|+] good bad"), ("-", "[tea|-] bad good")])
def test_polarity_marks_terms_and_chooses_rules(polarity, written):
    """`<…>`, `~` and `!` follow the current polarity."""
    rules = "start: <tea> {say~} {say!}\nsay+: good\nsay-: bad"
    assert draw(rules, context=Context("cafes", "tea", polarity)) == written


def test_polarity_given_with_a_term_overrules_the_current_one():
    """`<…|0>` is neutral in any sentence."""
    assert draw("start: <tea|0> or <coffee>") == "[tea|0] or [coffee|+]"


def test_topic_rule_falls_back_to_the_general_one():
    """`{.x}` takes `topic.x` where the topic has one, and `x` where it has none."""
    assert draw("start: {.size} {.colour}\ntea.colour: green\ncolour: grey\nsize: small") == "small green"


def test_domain_rule_is_chosen_by_the_domain():
    """`{@x}` takes `domain.x`."""
    assert draw("start: {@venue}\ncafes.venue: café\nhotels.venue: hotel") == "café"


@pytest.mark.parametrize(
    ("symbol", "written"), [("{milk/say:-}", "[milk|-]"), ("{say:!}", "[cake|-]"), ("{say:~}", "[cake|+]")]
)
def test_new_polarity_brings_a_new_topic(symbol, written):
    """`{x:p}` draws its topic from the domain's, and `{topic/x:p}` has it given."""
    rules = f"start: {symbol}\nsay: <{{.name}}>\nmilk.name: milk\ncake.name: cake\ncafes.topics: cake"
    assert draw(rules) == written


@pytest.mark.parametrize(("noun", "written"), [("egg", "an [egg|+]"), ("bun", "a [bun|+]")])
def test_article_fits_the_next_letter(noun, written):
    """`a(n)` sees through the mark of a term."""
    assert draw(f"start: a(n) <{noun}>") == written


def test_rule_goes_on_over_indented_lines():
    """A long rule reads as one, comments between rules are skipped, and spaces are single."""
    assert draw("# a comment\nstart:\n  one\n  {two}\n# another\ntwo:   two") == "one two"


@pytest.mark.parametrize("text", ["start: a\nstart: b", "start a"])
def test_malformed_rule_is_refused_by_its_line(text):
    """A rule without a colon, and a second rule of the same name, are errors and name the line."""
    with pytest.raises(GrammarError, match="line"):
        parse_rules(text)


def test_unknown_rule_is_refused_by_name():
    """What is asked for and does not exist is named, as it was written."""
    with pytest.raises(GrammarError, match=r"no rule 'say\+', asked for as 'say~'"):
        draw("start: {say~}")
