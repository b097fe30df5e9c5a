"""Endless bodies over an engine that the test holds: bounded memory, order, both kinds of client, failures."""

import asyncio
import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from absa_server.errors import ClientLeft, DeadlineExceeded, EngineFailed, InvalidRequest, UnsupportedMediaType
from absa_server.http.answer_buffer import AnswerBuffer
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.limits import Limits
from absa_server.http.line_batches import MAX_LINE_BYTES, PORTIONS, LineCutter
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.served_model import ServedModel
from absa_server.serving.service import Service, ServiceLimits
from absa_server.settings import UNLIMITED
from absa_server.telemetry.prometheus import Metrics

LINES = "application/jsonlines"
EASY, HARD = b'{"text": "a", "aspects": []}\n', b'{"text": "food"}\n'


class Client:
    """Sends `pieces` as fast as they are taken; counts what was taken; reads at once, or `reads_late`."""

    def __init__(self, pieces, *, content_type=LINES, accept=None, reads_late=False) -> None:
        self.content = b""
        self.status: int | None = None
        self.is_complete = False
        self.taken = 0
        self.has_sent_all = asyncio.Event()
        self.left = asyncio.Event()
        self.news = asyncio.Event()
        self.pieces = list(pieces)
        self._reads_late = reads_late
        given = {"content-type": content_type} | ({"accept": accept} if accept else {})
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/invocations",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "absa_request_id": "r",
            "absa_inference_id": None,
            "absa_send": self.send,
        }

    async def receive(self):
        await asyncio.sleep(0)
        if self.taken < len(self.pieces) and not self.left.is_set():
            self.taken += 1
            if (is_last := self.taken == len(self.pieces)) is True:
                self.has_sent_all.set()
            return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": not is_last}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self._reads_late:
            await self.has_sent_all.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.content += message["body"]
        self.is_complete = not message.get("more_body", False)
        self.news.set()
        self.news = asyncio.Event()

    async def wait_for_lines(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.content.count(b"\n") < count:
                await self.news.wait()

    @property
    def answers(self):
        return [json.loads(line) for line in self.content.splitlines()]


async def nothing(client, answering, service) -> None:
    """The client sends all and reads all."""


@pytest.fixture
def run(loaded, pipeline):
    """Runs `play` beside the answer to a client's request; gives the client and the finished task."""

    def start(client_of, play=nothing, *, timeout_s=float("inf"), max_records=UNLIMITED):
        async def both():
            client = client_of()
            service = Service(ModelSlot(lambda: loaded), ServiceLimits(1, 4, timeout_s))
            limits = Limits(max_records, 1000, 100)
            invocations = Invocations(
                service, Metrics(), InvocationOptions(limits, UNLIMITED, None, timeout_s, is_batch=True)
            )
            try:
                answering = asyncio.create_task(
                    invocations.answer(Request(client.scope, client.receive), ServedModel(pipeline, {}, "model"))
                )
                await play(client, answering, service)
                await asyncio.wait([answering], timeout=20)
                assert service.pending_requests == 0
                return client, answering
            finally:
                service.close()
                invocations.close()

        return asyncio.run(both())

    return start


def test_line_is_answered_before_the_next_is_sent(run):
    """A client that waits for each answer gets it."""

    async def play(client, answering, service):
        for number in range(1, 4):
            await client.wait_for_lines(number)

    class Waiting(Client):
        async def receive(self):
            await self.wait_for_lines(self.taken)
            return await super().receive()

    client, answering = run(lambda: Waiting([EASY, HARD, EASY]), play)
    answering.result()
    assert [len(answer["aspects"]) for answer in client.answers] == [0, 1, 0]
    assert client.is_complete


def test_no_more_is_read_than_may_be_under_way(run, engine):
    """While the model is busy the body waits at the client, whatever its size; then all of it is answered in order."""
    engine.gate.clear()
    pieces = [b'{"text": "food", "id": %d}\n' % number for number in range(200)]

    async def play(client, answering, service):
        await asyncio.to_thread(engine.entered.wait, 10)
        for _ in range(100):
            await asyncio.sleep(0)
        assert client.taken <= PORTIONS
        engine.gate.set()

    client, answering = run(lambda: Client(pieces), play)
    answering.result()
    assert [answer["id"] for answer in client.answers] == list(range(200))


def test_client_that_sends_all_before_it_reads_is_answered(run):
    """Half-duplex clients exist: neither side waits for the other, however much there is."""
    pieces = [b'{"text": "%s", "aspects": [], "parameters": {"return_text": true}}\n' % (b"x" * 900)] * 3000
    client, answering = run(lambda: Client(pieces, reads_late=True))
    answering.result()
    assert len(client.answers) == 3000
    assert client.is_complete


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b""], 1),
        ([EASY[:-1]], 1),
        ([EASY], 1),
        ([EASY, b""], 1),
        ([EASY, b"\n"], 2),
        ([EASY[:7], EASY[7:] + EASY[:3], EASY[3:-1], b"\n", b"\n\n", b"{"], 5),
    ],
)
def test_every_line_has_its_line_wherever_the_pieces_end(run, pieces, lines):
    """As a body that is read whole: what follows the last line end is a line only if there is something."""
    client, _ = run(lambda: Client(pieces))
    assert len(client.answers) == lines


def test_numbers_in_messages_count_the_whole_body(run):
    """Line 3 is line 3, though it came in a piece of its own."""
    client, _ = run(lambda: Client([EASY, EASY, b"nothing\n"]))
    assert client.answers[2]["error"]["message"].startswith("line 3: ")
    client, _ = run(lambda: Client([b"a\n", b'"never closed\n'], content_type="text/csv", accept=LINES))
    assert client.answers[1]["error"]["message"].startswith("row 2: ")


@pytest.mark.parametrize(("size", "code"), [(MAX_LINE_BYTES, 400), (MAX_LINE_BYTES + 1, 413)])
def test_line_beyond_the_bound_has_an_error_in_its_place(run, size, code):
    """At the bound it is read, and refused for its text; one byte more and it is not even kept."""
    line = b'"' + b"x" * (size - 2) + b'"'
    pieces = [EASY, *(line[start : start + 65536] for start in range(0, size, 65536)), b"\n", EASY]
    client, _ = run(lambda: Client(pieces))
    assert [answer.get("error", {}).get("code") for answer in client.answers] == [None, code, None]


@pytest.mark.parametrize("content_type", [LINES, "text/csv"])
def test_csv_has_the_columns_of_its_first_line(run, content_type):
    """A later piece with other records changes nothing about the table."""
    pieces = [b'{"id": 1, "text": "a"}\n', EASY, EASY] if content_type == LINES else [b"a\n", b"food\n", b"a\n"]
    client, _ = run(lambda: Client(pieces, content_type=content_type, accept="text/csv"))
    columns = 2 if content_type == LINES else 1
    assert [len(row) for row in csv.reader(client.content.decode().splitlines())] == [columns] * 3


def test_failure_ends_the_connection_in_the_middle(run, engine):
    """The job must not take a part for the whole: no end of the body after a failure, and the log says why."""
    engine.gate.clear()
    engine.failure = EngineFailed("broken")

    async def play(client, answering, service):
        await client.wait_for_lines(1)
        engine.gate.set()

    client, answering = run(lambda: Client([EASY, HARD]), play)
    answering.result()
    assert (client.status, client.is_complete, client.scope["absa_status"]) == (200, False, 500)


def test_failure_before_the_first_line_has_a_status_of_its_own(run, engine):
    """Then it is an ordinary error, which the job sends again by itself."""
    engine.failure = EngineFailed("broken")
    client, answering = run(lambda: Client([HARD, EASY]))
    with pytest.raises(EngineFailed):
        answering.result()
    assert client.status is None


def test_client_that_leaves_stops_its_work(run, engine):
    """In the middle of its body: of what had not been read, nothing is begun."""
    engine.gate.clear()

    async def play(client, answering, service):
        await asyncio.to_thread(engine.entered.wait, 10)
        client.left.set()
        engine.gate.set()

    client, answering = run(lambda: Client([b'{"text": "food%s"}\n' % (b" a" * n) for n in range(50)]), play)
    assert answering.exception() is None or isinstance(answering.exception(), ClientLeft)
    assert client.scope.get("absa_status") == (None if client.status is None else 499)
    assert not client.is_complete
    assert engine.passes <= PORTIONS


def test_server_that_stops_leaves_no_end(run, engine):
    """A cancelled answer is broken off, and nothing of it is left behind."""
    engine.gate.clear()

    async def play(client, answering, service):
        await client.wait_for_lines(1)
        answering.cancel()
        await asyncio.wait([answering], timeout=10)
        engine.gate.set()

    client, answering = run(lambda: Client([EASY, HARD]), play)
    assert answering.cancelled()
    assert not client.is_complete


def test_deadline_counts_where_it_is_set(run, engine):
    """By default there is none in batch transform."""
    engine.gate.clear()

    async def play(client, answering, service):
        await asyncio.wait([answering], timeout=10)
        engine.gate.set()

    _, answering = run(lambda: Client([HARD]), play, timeout_s=0.1)
    with pytest.raises(DeadlineExceeded):
        answering.result()


@pytest.mark.parametrize(("count", "is_refused"), [(5, False), (6, True)])
def test_records_are_counted_where_a_limit_is_set(run, count, is_refused):
    """Over all pieces together."""
    _, answering = run(lambda: Client([EASY * count]), max_records=5)
    assert (answering.exception() is not None) is is_refused
    if is_refused:
        assert isinstance(answering.exception(), InvalidRequest)


def test_compressed_body_is_refused(run):
    """As everywhere."""

    def client_of():
        client = Client([EASY])
        client.scope["headers"].append((b"content-encoding", b"gzip"))
        return client

    _, answering = run(client_of)
    assert isinstance(answering.exception(), UnsupportedMediaType)


@given(st.lists(st.binary(max_size=6).map(lambda piece: piece.replace(b"x", b"\n")), max_size=30))
def test_cut_lines_are_those_of_the_whole(pieces):
    """Wherever a body is cut: without its last line end, split at the others."""
    cutter = LineCutter()
    lines = [line for piece in pieces for line in cutter.cut(piece)] + list(cutter.rest())
    assert lines == b"".join(pieces).removesuffix(b"\n").split(b"\n")


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=40), st.integers(1, 20), st.data())
def test_buffer_gives_back_what_was_put(pieces, memory_bytes, data):
    """In order, whatever is taken when, in memory or in a file."""

    async def play():
        taken, size = b"", 0
        with AnswerBuffer(memory_bytes) as buffer:
            for piece in pieces:
                buffer.put(piece)
                size += len(piece)
                while len(taken) < size and data.draw(st.booleans()):
                    taken += await buffer.take(7)
            buffer.end()
            while more := await buffer.take(7):
                taken += more
        assert taken == b"".join(pieces)

    asyncio.run(play())
