"""What each route does. Knows requests and answers; the endpoint, S3 and the clock are given to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from absa_invoke.answers import JSON, Answer, json_answer
from absa_invoke.budgets import TimeBudget
from absa_invoke.endpoint import Endpoint, Reply
from absa_invoke.etags import etag, is_confirmed
from absa_invoke.events import Call
from absa_invoke.identities import Identity, read_identity
from absa_invoke.jobs import Jobs, done_body
from absa_invoke.models import Models
from absa_invoke.problems import (
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_OF_THIS_SHAPE,
    Problem,
)
from absa_invoke.requests import read_analyze_body, read_form, read_job_body, read_query, single_values
from absa_invoke.retries import Retries
from absa_invoke.schemas import AnalyzeRequest
from absa_invoke.settings import Settings

MAX_AGE_S = 300
POLL_AFTER_S = 5
PRIVATE = f"private, max-age={MAX_AGE_S}"
# One word, so that the model has one word to do.
PROBE = AnalyzeRequest(text="ok")


@dataclass(slots=True)
class Facts:
    """What is told of a request in metrics and logs; filled in on the way, of one request each."""

    texts: int = 0
    tries: int = 0
    is_not_modified: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A call on its way through a route."""

    call: Call
    budget: TimeBudget
    facts: Facts = field(default_factory=Facts)


Route = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Routes:
    """Every route of one deployment. Routes raise `Problem` and `CallFailed`."""

    settings: Settings
    endpoint: Endpoint
    models: Models
    jobs: Jobs | None = None

    def table(self) -> Mapping[str, Mapping[str, Route]]:
        """By resource, as API Gateway names it, and method."""
        return {
            "/v1/analyze": {"GET": self.analyze_query, "POST": self.analyze_body},
            "/v1/jobs": {"POST": self.start_job},
            "/v1/results/{id}": {"GET": self.look_for_result},
            "/v1/models": {"GET": self.list_models},
            "/v1/health": {"GET": self.tell_health},
            "/v1/version": {"GET": self.tell_version},
        }

    def answer(self, request: Request) -> Answer:
        """The answer of the call's route. Raises `Problem` where there is none."""
        call = request.call
        methods = self.table().get(call.resource)
        if methods is None:
            raise Problem(NOT_FOUND, f"{call.method}: no such path; there are {', '.join(self.table())}")
        if call.method not in methods:
            allowed = tuple(sorted(methods))
            raise Problem(
                METHOD_NOT_ALLOWED,
                f"{call.resource}: expected {' or '.join(allowed)}, got {call.method}",
                allow=allowed,
            )
        return methods[call.method](request)

    def analyze_query(self, request: Request) -> Answer:
        """GET: one short review. What the caller has already is confirmed without asking the model."""
        self._needs_answers()
        form = read_query(request.call)
        self._check_model(form)
        tag = etag(form, release=self.settings.release)
        headers = {"ETag": tag, "Cache-Control": PRIVATE}
        if is_confirmed(request.call.headers.get("if-none-match"), tag):
            request.facts.is_not_modified = True
            return Answer(304, headers=headers)
        return Answer(200, self._ask(request, form).content, {"Content-Type": JSON} | headers)

    def analyze_body(self, request: Request) -> Answer:
        """POST: 1 to 64 reviews."""
        self._needs_answers()
        single_values(request.call.query, ())
        form = read_analyze_body(request.call)
        self._check_model(form)
        return Answer(200, self._ask(request, form).content, {"Content-Type": JSON})

    def start_job(self, request: Request) -> Answer:
        """POST: a question of up to 1,000 reviews that is answered later."""
        jobs = self._needs_jobs()
        single_values(request.call.query, ())
        form = read_job_body(request.call)
        self._check_model(form)
        identity = read_identity(request.call)
        question, uri = jobs.put_question(form.for_container(), request.budget)
        request.facts.texts = form.count
        accepted = self.endpoint.invoke_later(uri, identity, request.budget)
        request.facts.tries = accepted.tries
        job_id = jobs.id_of(question, accepted.content)
        location = f"{request.call.path.rpartition('/')[0]}/results/{job_id}"
        return json_answer({"id": job_id, "state": "pending"}, status=202, headers={"Location": location})

    def look_for_result(self, request: Request) -> Answer:
        """GET: a job, in whatever state it is."""
        jobs = self._needs_jobs()
        single_values(request.call.query, ())
        job = jobs.find(request.call.path_parameters.get("id", ""), request.budget)
        if job.address:
            return Answer(303, headers={"Location": job.address})
        if job.state == "done":
            return Answer(200, done_body(job), {"Content-Type": JSON})
        if job.state == "pending":
            return json_answer(
                {"id": job.id, "state": "pending"}, status=202, headers={"Retry-After": str(POLL_AFTER_S)}
            )
        return json_answer({"id": job.id, "state": "failed", "status": job.failed_status})

    def list_models(self, request: Request) -> Answer:
        """GET: a page of the models' prefix."""
        query = single_values(request.call.query, ("limit", "next"))
        return json_answer(self.models.page(query, request.budget))

    def tell_health(self, request: Request) -> Answer:
        """GET: that the function lives; with `deep=1`, that the model answers one word, tried once."""
        query = single_values(request.call.query, ("deep", "model"))
        if (deep := query.get("deep", "0")) not in ("0", "1"):
            raise Problem(INVALID_REQUEST, f"deep: expected 0 or 1, got {deep[:20]!r}")
        if deep == "0":
            return json_answer({"status": "ok"})
        self._needs_answers()
        form = _with_model(PROBE, query.get("model"))
        self._check_model(form)
        once = Endpoint(self.endpoint.name, self.endpoint.clients, Retries(max_tries=1))
        self._ask(request, form, endpoint=once)
        return json_answer({"status": "ok", "endpoint": "ok"})

    def tell_version(self, request: Request) -> Answer:
        """GET: what is deployed."""
        single_values(request.call.query, ())
        told = self.settings
        return json_answer(
            {
                "release": told.release,
                "endpoint": told.endpoint_name,
                "shape": told.shape,
                "function_version": told.function_version,
            }
        )

    def _ask(self, request: Request, form: AnalyzeRequest, *, endpoint: Endpoint | None = None) -> Reply:
        identity: Identity = read_identity(request.call)
        request.facts.texts = form.count
        asked = endpoint or self.endpoint
        reply = asked.invoke(form.for_container(), identity, request.budget, model=form.model)
        request.facts.tries = reply.tries
        return reply

    def _needs_answers(self) -> None:
        if self.settings.is_async:
            raise Problem(NOT_OF_THIS_SHAPE, "This endpoint is asynchronous: POST /v1/jobs, then GET /v1/results/{id}.")

    def _needs_jobs(self) -> Jobs:
        if self.jobs is None:
            what = f"This endpoint has the shape {self.settings.shape}, jobs need async: ask /v1/analyze."
            raise Problem(NOT_OF_THIS_SHAPE, what)
        return self.jobs

    def _check_model(self, form: AnalyzeRequest) -> None:
        if self.settings.is_multi_model and form.model is None:
            raise Problem(INVALID_REQUEST, "model: expected the name of one, as GET /v1/models lists them, got none")
        if not self.settings.is_multi_model and form.model is not None:
            raise Problem(
                INVALID_REQUEST, f"model: expected none, as the shape {self.settings.shape} has one, got a name"
            )


def _with_model(form: AnalyzeRequest, model: str | None) -> AnalyzeRequest:
    if model is None:
        return form
    return read_form(AnalyzeRequest, {"text": form.text, "model": model})
