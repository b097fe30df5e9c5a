"""The memory cache against a plain model of byte-weighted LRU with leases, driven by hypothesis."""

from concurrent.futures import Executor, Future

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model_loader.errors import CacheTooSmall
from model_loader.memory_cache import MemoryCache
from model_loader.memory_entry import Footprint

BUDGET = 100
SIZES = {"a": 10, "b": 25, "c": 40, "d": 60, "e": 100, "huge": 101}


class InlineExecutor(Executor):
    """Runs what it is given at once, so that every step of the test is over when it returns."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class PlainLru:
    """The order of use, the leases, and who is waiting: what the cache must agree with."""

    def __init__(self) -> None:
        self.held: list[str] = []  # least recently used first
        self.leases: dict[str, int] = {}
        self.waiting: dict[str, int] = {}  # longest waiting first

    def used(self) -> int:
        return sum(SIZES[key] for key in self.held)

    def lease(self, key: str) -> None:
        if key in self.held:
            self.held.remove(key)
            self.held.append(key)
            self.leases[key] = self.leases.get(key, 0) + 1
            return
        is_new = key not in self.waiting
        self.waiting[key] = self.waiting.get(key, 0) + 1
        if is_new:
            self.start_waiting()

    def release(self, key: str) -> None:
        self.leases[key] -= 1
        if self.leases[key] == 0:
            del self.leases[key]
            self.start_waiting()

    def start_waiting(self) -> None:
        for key in list(self.waiting):
            victims, missing = [], self.used() + SIZES[key] - BUDGET
            for other in self.held:
                if missing > 0 and other not in self.leases:
                    victims.append(other)
                    missing -= SIZES[other]
            if missing <= 0:
                self.held = [*(other for other in self.held if other not in victims), key]
                self.leases[key] = self.waiting.pop(key)


class CacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []
        self.cache: MemoryCache[str] = MemoryCache(
            BUDGET,
            executor=InlineExecutor(),
            loads_at_once=2,
            size_of=SIZES.__getitem__,
            close_value=lambda key: SIZES[key],
        )
        self.model = PlainLru()
        self.asked: list[tuple[str, Future]] = []

    @rule(key=st.sampled_from([key for key in SIZES if key != "huge"]))
    def lease(self, key: str) -> None:
        self.model.lease(key)
        self.asked.append((key, self.cache.request(key, lambda: key, Footprint.of(SIZES[key]))))

    @rule()
    def ask_for_too_much(self) -> None:
        refused = self.cache.request("huge", lambda: "huge", Footprint.of(SIZES["huge"]))
        assert isinstance(refused.exception(timeout=0), CacheTooSmall)

    @precondition(lambda self: any(future.done() for _, future in self.asked))
    @rule(data=st.data())
    def release(self, data) -> None:
        number = data.draw(st.sampled_from([n for n, (_, future) in enumerate(self.asked) if future.done()]))
        key, future = self.asked.pop(number)
        future.result(timeout=0).release()
        self.model.release(key)

    @invariant()
    def both_hold_the_same_in_the_same_order(self) -> None:
        assert self.cache.keys() == self.model.held

    @invariant()
    def bytes_are_counted_and_within_the_budget(self) -> None:
        assert self.cache.stats().used_bytes == self.model.used() <= BUDGET

    @invariant()
    def who_should_have_a_lease_has_it(self) -> None:
        granted = [key for key, future in self.asked if future.done()]
        assert {key: granted.count(key) for key in granted} == self.model.leases

    def teardown(self) -> None:
        self.cache.close()
        for _, future in self.asked:
            if future.done() and future.exception() is None:
                future.result().release()
        assert self.cache.stats().used_bytes == 0


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
