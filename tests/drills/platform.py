"""What the drills of the local platform share: images, models, texts, and one line of input. Knows no call."""

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "local_sagemaker" / "small_container.py"


def images(threads: str = "", **more: str) -> dict[str, Any]:
    """`absa`: the server of this repository, started as its container starts it. `small`: our multi-model container.

    `more`: variables of the server.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {"ABSA_HOST": "127.0.0.1", "PATH": path, **more}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    return {
        "absa": {"Command": [str(ROOT / "serve" / "serve")], "Environment": environment},
        "small": {"Command": [sys.executable, str(SMALL)]},
    }


def container(model_dir: Path, **extra: Any) -> dict[str, Any]:
    """A container definition of our server with the models at `model_dir`."""
    return {"Image": "absa", "ModelDataUrl": str(model_dir.resolve())} | extra


def read_texts(path: Path) -> list[str]:
    """The `text` of every line of a JSON Lines file."""
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
