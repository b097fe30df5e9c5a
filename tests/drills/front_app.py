"""The server with an engine that answers at once: what is left is the front. For the drill, started by gunicorn."""

import json
import os
import sys
from pathlib import Path

import numpy as np
from starlette.types import ASGIApp, Receive, Scope, Send

from absa_server.app import create_app
from absa_server.engines.factory import EngineChoice, NetworkSource
from absa_server.types import FloatArray, IntArray
from tests.drills.cpu_profile import CpuProfile, Profile

# One token in so many begins an aspect: about as many a text as reviews have.
TOKENS_PER_ASPECT = 17
# Where the profiled server leaves what it saw; the drill sets it.
PROFILE = "DRILL_PROFILE"
# Python threads give way this often in the profiled server: a look sees only those that do.
SWITCH_S = 0.0005


class InstantEngine:
    """Answers by the ids alone: a tagger's second label begins an aspect; a rater gives every class the same share."""

    name = "instant"
    streams = 1
    resident_bytes = 0
    batch_tokens = 512
    is_padding_free = False

    def __init__(self, source: NetworkSource, choice: EngineChoice) -> None:
        self._labels = source.labels
        self._is_tagger = source.task == "token-classification"

    def infer(
        self,
        input_ids: IntArray,
        attention_mask: IntArray,
        token_type_ids: IntArray | None,
    ) -> FloatArray:
        """See `types.Engine`."""
        if not self._is_tagger:
            return np.zeros((len(input_ids), self._labels), np.float32)
        logits = np.zeros((*input_ids.shape, self._labels), np.float32)
        logits[..., 0] = 1.0
        logits[..., 1] = np.where(input_ids % TOKENS_PER_ASPECT == 0, 2.0, 0.0)
        return logits

    def close(self) -> None:
        """Nothing is held."""


def create_front() -> ASGIApp:
    """The application, whole but for its engines."""
    return create_app(load_engine=InstantEngine)


def create_profiled_front() -> ASGIApp:
    """The same, which writes its profile when it ends."""
    app = create_front()
    sys.setswitchinterval(SWITCH_S)

    async def profiled(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        with CpuProfile() as watch:
            await app(scope, receive, send)
        write_profile(Path(os.environ[PROFILE]), watch.profile)

    return profiled


def write_profile(file: Path, profile: Profile) -> None:
    """Lists of [kind of thread, name, seconds], as JSON."""
    parts = {"modules": profile.modules, "functions": profile.functions}
    lists = {name: [[*key, seconds] for key, seconds in part.items()] for name, part in parts.items()}
    file.write_text(json.dumps(lists))
