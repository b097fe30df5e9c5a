"""`POST /invocations` where the artifact's own code answers: headers and body in, what the code makes of them out."""

from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from absa_server.http.body import EndedByDisconnect, read_body
from absa_server.http.limits import Limits
from absa_server.http.media_types import JSON
from absa_server.http.middleware import inference_id_of, request_id_of
from absa_server.http.parameters import CUSTOM_ATTRIBUTES
from absa_server.http.stage_times import StageTimes
from absa_server.http.user_defaults import RequestDefaults
from absa_server.serving.service import Service
from absa_server.user_code.loaded import UserCode
from absa_server.user_code.threads import BoundedThreads
from absa_server.user_code.transformer import TOOLKIT_DEFAULTS, Context, Transformer


class UserInvocations:
    """Lives on one event loop. The code runs in threads, as many at a time as there are streams."""

    def __init__(
        self,
        service: Service,
        *,
        limits: Limits,
        max_payload_bytes: int,
        default_accept: str | None,
        is_batch: bool,
        threads: int,
    ) -> None:
        """See the settings of the same names."""
        self._service = service
        self._limits = limits
        self._max_payload_bytes = max_payload_bytes
        self._default_accept = default_accept
        self._is_batch = is_batch
        self._threads = BoundedThreads(threads, name="user-code")

    async def answer(self, request: Request, code: UserCode) -> Response:
        """What the code answers. Raises `UserCodeFailed`, what the default steps raise, and what reading raises.

        Code cannot be interrupted: after its caller has left, or its time is over, it keeps its thread until it ends.
        """
        times = StageTimes()
        with self._service.permit():
            async with self._service.deadline():
                body = b"".join(await read_body(request, max_bytes=self._max_payload_bytes))
                times.end("read")
                async with EndedByDisconnect(request):
                    content, media_type = await self._threads.run(self._call(request, code, body))
                    times.end("code")
        # As the code wrote it: a media_type would have a charset added.
        headers = {"Content-Type": media_type, "Server-Timing": times.header()}
        return Response(content, headers=headers)

    def _call(self, request: Request, code: UserCode, body: bytes) -> Callable[[], tuple[bytes, str]]:
        attributes = request.headers.get(CUSTOM_ATTRIBUTES)
        context = Context(
            str(code.root),
            request_id_of(request.scope),
            inference_id_of(request.scope),
            attributes,
            default_model=None if code.is_own_model or not callable(code.model) else code.model,
        )
        own = RequestDefaults(
            limits=self._limits,
            custom_attributes=attributes,
            default_accept=self._default_accept,
            is_batch=self._is_batch,
        )
        functions = code.functions
        # Our own last step looks at the request's type before it decides.
        is_written_by_us = not (code.is_own_model or functions.output_fn or functions.transform_fn)
        transformer = Transformer(
            functions,
            TOOLKIT_DEFAULTS if code.is_own_model else own.as_defaults(),
            code.model,
            default_accept=self._default_accept or ("*/*" if is_written_by_us else JSON),
        )
        content_type = request.headers.get("content-type") or JSON
        return partial(transformer.transform, body, content_type, request.headers.get("accept"), context)
