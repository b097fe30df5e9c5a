"""The cache of analyses: bounded by bytes, least recently asked goes first, keyed on all that an answer depends on."""

import asyncio

import pytest

from absa_server.serving.answer_cache import AnswerCache
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.service import Service, ServiceLimits
from absa_server.types import Analysis, Aspect, GivenAspect, Parameters, Record

ANALYSIS = Analysis((Aspect("food", 0, 4),))


def test_least_recently_asked_goes_first():
    """A hit renews an entry; the bytes stay within the bound."""
    cache = AnswerCache(4000)
    cache.put("v", Record("a"), ANALYSIS)
    cache.put("v", Record("b"), ANALYSIS)
    assert cache.get("v", Record("a")) is ANALYSIS
    cache.put("v", Record("c"), ANALYSIS)
    assert [cache.get("v", Record(text)) is not None for text in "abc"] == [True, False, True]
    assert 0 < cache.currsize_bytes <= cache.maxsize_bytes
    assert (cache.hits, cache.misses) == (3, 1)


def test_entry_of_exactly_the_size_fits_and_a_larger_one_does_not():
    """A cache is never emptied for what it cannot hold."""
    probe = AnswerCache(10**6)
    probe.put("v", Record("a" * 100), ANALYSIS)
    cache = AnswerCache(probe.currsize_bytes)
    cache.put("v", Record("a" * 100), ANALYSIS)
    cache.put("v", Record("b" * 101), ANALYSIS)
    assert len(cache) == 1
    assert cache.get("v", Record("a" * 100)) is ANALYSIS


@pytest.mark.parametrize(
    "other",
    [
        Record("a "),
        Record("a", aspects=()),
        Record("a", aspects=(GivenAspect("a"),)),
        Record("a", truncated=True),
        Record("a", parameters=Parameters(mode="aspects")),
        Record("a", parameters=Parameters(min_score=0.5)),
    ],
)
def test_other_question_is_another_entry(other):
    """Whatever changes the analysis is part of the key; what only changes its form is not."""
    cache = AnswerCache(10**6)
    cache.put("v", Record("a"), ANALYSIS)
    assert cache.get("v", other) is None
    assert cache.get("w", Record("a")) is None
    assert cache.get("v", Record("a", id=7, parameters=Parameters(offsets="utf16", return_text=True))) is ANALYSIS


def test_hits_skip_the_model_and_keep_their_place(loaded, pipeline, engine):
    """A request of old and new texts runs the new ones only, and is answered in order."""
    service = Service(ModelSlot(lambda: loaded), ServiceLimits(1, 4, 30.0), cache=AnswerCache(10**6))
    asyncio.run(service.predict(pipeline, [Record("a food")]))
    passes = engine.passes
    answers = asyncio.run(service.predict(pipeline, [Record("food"), Record("a food"), Record("a a food")]))
    assert [answer.aspects[0].start for answer in answers] == [0, 2, 4]
    assert engine.passes == passes + 2
    asyncio.run(service.predict(pipeline, [Record("a food"), Record("food")]))
    assert engine.passes == passes + 2
    service.close()
