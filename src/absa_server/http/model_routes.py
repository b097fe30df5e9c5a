"""The multi-model API of SageMaker: load, list, get, unload and invoke models. Knows their wire format alone.

Bodies and messages are those of the multi-model-server, which the platform's own containers run on.
"""

import base64
import binascii
from collections.abc import Mapping

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from absa_server.errors import InvalidRequest
from absa_server.http.body import read_body
from absa_server.http.decoding import load_json
from absa_server.http.invocations import Invocations
from absa_server.http.media_types import JSON
from absa_server.http.wording import kind_of
from absa_server.serving.registry import HostedModel, Registry

_MAX_BODY_BYTES = 64 * 1024
_MAX_NAME_CHARS = 1024
_PAGE = 100
_SYSTEM_FOLDERS = {"dev", "proc", "sys"}


def create_model_router(registry: Registry, invocations: Invocations) -> APIRouter:
    """The routes below `/models`; a slash at the end is tolerated."""
    router = APIRouter()

    @router.post("/models/", include_in_schema=False, response_class=Response)
    @router.post("/models", response_class=Response, summary="Load a model; answers when it can answer")
    async def load_model(request: Request) -> Response:
        name, url = _load_request(b"".join(await read_body(request, max_bytes=_MAX_BODY_BYTES)))
        return _json(_shown(await registry.load(name, url)) | {"status": "Workers scaled"})

    @router.get("/models/", include_in_schema=False, response_class=Response)
    @router.get("/models", response_class=Response, summary="The loaded models, in pages")
    async def list_models(request: Request) -> Response:
        return _json(_page(registry.list(), request.query_params))

    @router.get("/models/{name}", response_class=Response, summary="One loaded model")
    async def get_model(name: str) -> Response:
        return _json(_shown(registry.get(name)))

    @router.delete("/models/{name}", response_class=Response, summary="Unload a model; answers when its memory is free")
    async def unload_model(name: str) -> Response:
        await registry.unload(name)
        return _json({"status": f'Model "{name}" unregistered'})

    @router.post("/models/{name}/invoke", response_class=Response, summary="Analyse texts with one model")
    async def invoke_model(name: str, request: Request) -> Response:
        async with registry.use(name) as model:
            return await invocations.answer(request, model.pipeline, code=model.code)

    return router


def _load_request(body: bytes) -> tuple[str, str]:
    """`model_name` and `url`. Raises `InvalidRequest`."""
    fields = load_json(body, path="body") if body else {}
    if not isinstance(fields, dict):
        raise InvalidRequest(f"body: expected an object, got {kind_of(fields)}")
    name, url = _text(fields, "model_name"), _text(fields, "url")
    if "/" in name or "\0" in name or name in {".", ".."} or len(name) > _MAX_NAME_CHARS:
        raise InvalidRequest(f"model_name: expected one path segment of at most {_MAX_NAME_CHARS} characters")
    parts = url.split("/")
    if ".." in parts or "\0" in url or not url.startswith("/"):
        raise InvalidRequest("url: Relative path is not allowed in url; expected an absolute path to a folder")
    if next(filter(None, parts), "") in _SYSTEM_FOLDERS:
        raise InvalidRequest(f"url: no model lies below /{next(filter(None, parts))}")
    return name, url


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"Parameter {name} is required.")
    return value


def _page(models: list[HostedModel], query: Mapping[str, str]) -> dict[str, object]:
    """At most `limit` models after the one that `next_page_token` names; the last page has no token."""
    after = _name_of(query["next_page_token"]) if query.get("next_page_token") else ""
    limit = query.get("limit", str(_PAGE))
    if not limit.isdecimal() or not 1 <= int(limit) <= _PAGE:
        raise InvalidRequest(f"limit: expected a number from 1 to {_PAGE}")
    rest = [model for model in models if model.name > after]
    page, is_last = rest[: int(limit)], len(rest) <= int(limit)
    token: dict[str, object] = (
        {} if is_last else {"nextPageToken": base64.urlsafe_b64encode(page[-1].name.encode()).decode()}
    )
    return {"models": [_shown(model) for model in page], **token}


def _name_of(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequest("next_page_token: expected one that an earlier answer gave") from None


def _shown(model: HostedModel) -> dict[str, object]:
    return {"modelName": model.name, "modelUrl": model.url}


def _json(value: Mapping[str, object]) -> Response:
    return Response(orjson.dumps(value), media_type=JSON)
