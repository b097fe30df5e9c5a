"""Streamed answers over an engine that the test holds: order, errors in band, time, clients that leave, the stop."""

import asyncio
import json
from collections.abc import Callable

import pytest
from starlette.requests import Request

from absa_server.errors import ClientLeft, DeadlineExceeded, EngineFailed, InvalidRequest, NotAcceptable
from absa_server.http.invocations import InvocationOptions, Invocations
from absa_server.http.limits import Limits
from absa_server.serving.model_slot import ModelSlot
from absa_server.serving.served_model import ServedModel
from absa_server.serving.service import SPARE_THREADS, Service, ServiceLimits
from absa_server.telemetry.prometheus import Metrics

# Answered without the engine, and with it.
EASY, HARD = {"text": "a", "aspects": []}, {"text": "food"}


class Client:
    """One request and what its client sees; `leave` closes the connection, `stall` stops reading."""

    def __init__(self, body: object, *, headers: dict[str, str] | None = None, stall_at: int | None = None) -> None:
        self.lines: list[dict[str, object]] = []
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self.left = asyncio.Event()
        self.news = asyncio.Event()
        self._stall_at = stall_at
        self._body: bytes | None = json.dumps(body).encode()
        given = {"content-type": "application/json"} | (headers or {})
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/invocations",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "absa_request_id": "r",
            "absa_inference_id": None,
            "absa_send": self.send,
        }

    async def receive(self) -> dict[str, object]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if self._stall_at is not None and len(self.lines) >= self._stall_at:
            await asyncio.Event().wait()
        self.lines += [json.loads(line) for line in message["body"].splitlines()]
        self.is_complete = not message.get("more_body", False)
        if self.is_complete:
            self.left.set()  # as uvicorn tells whoever asks after the end
        self.news.set()

    async def wait_for_lines(self, count: int) -> None:
        while len(self.lines) < count:
            await asyncio.wait_for(self.news.wait(), 10)
            self.news.clear()

    @property
    def noted_status(self) -> int | None:
        return self.scope.get("absa_status")


@pytest.fixture
def run(loaded, pipeline):
    """Runs `play(client, answering, service)` beside the answer to a client's request; returns what became of it."""

    def start(client_of: Callable[[], Client], play, *, timeout_s: float = 30.0):
        async def both():
            client = client_of()
            service = Service(ModelSlot(lambda: loaded), ServiceLimits(1, 4, timeout_s))
            options = InvocationOptions(Limits(100, 1000, 100), 1 << 20, None, timeout_s)
            invocations = Invocations(service, Metrics(), options)
            try:
                answering = asyncio.create_task(
                    invocations.answer(Request(client.scope, client.receive), ServedModel(pipeline, {}, "model"))
                )
                await play(client, answering, service)
                await asyncio.wait([answering], timeout=10)
                return client, answering
            finally:
                service.close()
                invocations.close()

        return asyncio.run(both())

    return start


def texts(*records: object, **parameters: object) -> dict[str, object]:
    return {"inputs": list(records), "parameters": {"stream": True} | parameters}


async def nothing(client, answering, service) -> None:
    """The client reads to the end."""


def test_line_is_sent_as_soon_as_it_is_there(run, engine):
    """The first record's line is read while the second waits for its model; the place is kept until the end."""
    engine.gate.clear()

    async def play(client, answering, service):
        await client.wait_for_lines(1)
        assert not answering.done()
        assert service.pending_requests == 1
        engine.gate.set()
        await client.wait_for_lines(2)

    client, answering = run(lambda: Client(texts(EASY, HARD)), play)
    answering.result()
    assert (client.status, client.is_complete, client.noted_status) == (200, True, None)
    assert client.headers["content-type"] == "application/jsonlines"
    assert "content-length" not in client.headers
    assert [stage.partition(";")[0] for stage in client.headers["server-timing"].split(", ")] == [
        "read",
        "parse",
        "first",
    ]
    assert [len(line["aspects"]) for line in client.lines] == [0, 1]


def test_lines_keep_the_order_of_the_records(run, engine):
    """A record that is ready early waits for those before it, and so does one that could not be read."""
    engine.gate.clear()

    async def play(client, answering, service):
        await asyncio.to_thread(engine.entered.wait, 10)
        assert client.lines == []
        engine.gate.set()

    records = [HARD | {"id": 0}, EASY | {"id": 1}, {"id": 2, "text": 7}, HARD | {"id": 3}, EASY | {"id": 4}]
    client, _ = run(lambda: Client(texts(*records)), play)
    assert [line["id"] for line in client.lines] == [0, 1, 2, 3, 4]
    assert ["error" in line for line in client.lines] == [False, False, True, False, False]


def test_failure_before_the_first_line_has_a_status_of_its_own(run, engine):
    """Nothing has been sent: the error is the whole answer's."""
    engine.failure = EngineFailed("broken")
    client, answering = run(lambda: Client(texts(HARD, EASY)), nothing)
    with pytest.raises(EngineFailed):
        answering.result()
    assert client.status is None


def test_later_failure_is_told_in_band(run, engine):
    """Every record that has no result has the error in its line, and the log has its status."""
    engine.failure = EngineFailed("broken")
    client, answering = run(lambda: Client(texts(EASY, HARD, EASY, HARD)), nothing)
    answering.result()
    assert [line.get("error", {}).get("type") for line in client.lines] == [None, *["EngineFailed"] * 3]
    assert (client.status, client.noted_status, client.is_complete) == (200, 500, True)


def test_single_text_that_is_refused_is_a_refusal(run):
    """One text is one answer: its fault is the request's, before any line."""
    one = {"text": "food", "parameters": {"stream": True, "mode": "sentiment"}}
    client, answering = run(lambda: Client(one), nothing)
    with pytest.raises(InvalidRequest, match="aspects: missing"):
        answering.result()
    assert client.status is None


@pytest.mark.parametrize("records", [(EASY, HARD), (HARD, EASY)], ids=["after a line", "before any line"])
def test_deadline_ends_a_stream(run, engine, records):
    """In band after the first line, else 503; the model's work is dropped."""
    engine.gate.clear()

    async def play(client, answering, service):
        await asyncio.wait([answering], timeout=10)
        assert service.pending_requests == 0
        engine.gate.set()

    client, answering = run(lambda: Client(texts(*records)), play, timeout_s=0.1)
    if records[0] is HARD:
        with pytest.raises(DeadlineExceeded):
            answering.result()
        assert client.status is None
        return
    answering.result()
    assert client.lines[1]["error"]["type"] == "DeadlineExceeded"
    assert client.noted_status == 503


@pytest.mark.parametrize("records", [(EASY, *[HARD] * 9), [HARD] * 9], ids=["after a line", "before any line"])
def test_client_that_leaves_stops_its_work(run, engine, records):
    """Only the batches under way are finished; the place is free."""
    engine.gate.clear()

    async def play(client, answering, service):
        await asyncio.to_thread(engine.entered.wait, 10)
        client.left.set()
        await asyncio.wait([answering], timeout=10)
        assert service.pending_requests == 0
        engine.gate.set()

    different = [record | {"text": record["text"] + " a" * n} for n, record in enumerate(records)]
    client, answering = run(lambda: Client(texts(*different)), play)
    assert 1 <= engine.passes <= 1 + SPARE_THREADS
    if client.status is None:
        with pytest.raises(ClientLeft):
            answering.result()
    else:
        answering.result()
        assert (client.noted_status, client.is_complete) == (499, False)


def test_reader_that_takes_nothing_loses_its_place(run):
    """After as long as a request may take; the answer stays without an end, so that nobody takes it for whole."""
    client, answering = run(lambda: Client(texts(EASY, EASY), stall_at=1), nothing, timeout_s=0.1)
    answering.result()
    assert (len(client.lines), client.is_complete, client.noted_status) == (1, False, 499)


def test_slow_reader_is_not_late(run, engine):
    """What the server has ready does not count against the deadline, however slowly it is read."""

    class Slow(Client):
        async def send(self, message):
            await asyncio.sleep(0.04)
            await super().send(message)

    client, answering = run(lambda: Slow(texts(*[EASY] * 6)), nothing, timeout_s=0.1)
    answering.result()
    assert [line["aspects"] for line in client.lines] == [[]] * 6


def test_server_that_stops_says_what_is_missing(run, engine):
    """A stream that outlasts the drain ends with an error for every record that it did not come to."""
    engine.gate.clear()

    async def play(client, answering, service):
        await client.wait_for_lines(1)
        answering.cancel("as uvicorn does")
        await asyncio.wait([answering], timeout=10)
        engine.gate.set()

    client, answering = run(lambda: Client(texts(EASY, HARD, HARD)), play)
    assert answering.cancelled()
    assert [line.get("error", {}).get("type") for line in client.lines] == [None, "ModelNotReady", "ModelNotReady"]
    assert client.is_complete


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/json, text/csv;q=0.5"])
def test_stream_is_lines_or_nothing(run, accept):
    """An Accept without JSON Lines is 406, whatever else it names."""
    client, answering = run(lambda: Client(texts(EASY), headers={"accept": accept}), nothing)
    with pytest.raises(NotAcceptable, match="streamed"):
        answering.result()
    assert client.status is None


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("*/*", "application/jsonlines"),
        ("application/*", "application/jsonlines"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json, application/jsonlines;q=0.1", "application/jsonlines"),
    ],
)
def test_stream_takes_the_name_that_is_asked_for(run, accept, written):
    """JSON Lines has several names."""
    client, _ = run(lambda: Client(texts(EASY), headers={"accept": accept}), nothing)
    assert client.headers["content-type"] == written


@pytest.mark.parametrize(
    ("attributes", "is_stream"),
    [("stream=true", True), ("trace=1;stream=true", True), ("stream=false", False), ("trace-17", False)],
)
def test_custom_attributes_ask_for_a_stream_of_a_json_object(run, attributes, is_stream):
    """A streaming call looks like any other; the header says which it is, and other attributes are left alone."""
    headers = {"x-amzn-sagemaker-custom-attributes": attributes}
    client, answering = run(lambda: Client({"inputs": [EASY]}, headers=headers), nothing)
    answer = answering.result()
    assert client.is_complete is is_stream
    assert ("content-length" in answer.headers) is not is_stream or is_stream


def test_one_record_that_asks_is_enough(run):
    """The parameter is for the whole answer, wherever it stands."""
    records = [EASY, EASY | {"parameters": {"stream": True}}]
    client, _ = run(lambda: Client({"inputs": records}), nothing)
    assert len(client.lines) == 2


def test_no_records_are_no_lines(run):
    """An empty list has an empty answer."""
    client, _ = run(lambda: Client(texts()), nothing)
    assert (client.status, client.lines, client.is_complete) == (200, [], True)
