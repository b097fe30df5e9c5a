"""The rules of sagemaker-inference-toolkit's transformer, as its tests assert them (test_transformer.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from absa_server.errors import InvalidModel, NotAcceptable, UnsupportedMediaType, UserCodeFailed
from absa_server.user_code.functions import UserFunctions, find_functions
from absa_server.user_code.transformer import TOOLKIT_DEFAULTS, Context, Transformer, load_model

JSON = "application/json"
Make = Callable[[str], Path]


@pytest.fixture
def artifact(tmp_path: Path) -> Make:
    """Writes an artifact whose code/inference.py is the given text."""

    def make(script: str) -> Path:
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / "inference.py").write_text(script, encoding="utf-8")
        return tmp_path

    return make


def functions(root: Path) -> UserFunctions:
    found = find_functions(root)
    assert found is not None
    return found


def transform(root: Path, body: bytes = b"[1]", content_type: str = JSON, accept: str | None = None) -> object:
    found = functions(root)
    model = load_model(found, root) if found.model_fn else None
    transformer = Transformer(found, TOOLKIT_DEFAULTS, model)
    return transformer.transform(body, content_type, accept, Context(str(root), request_id="r1"))


def test_artifact_without_code_has_no_functions(tmp_path: Path):
    """No code/inference.py, no handler."""
    assert find_functions(tmp_path) is None


def test_steps_run_in_order(artifact: Make):
    """test_transform: input_fn, predict_fn and output_fn are chained, each given what the one before returned."""
    script = """
def model_fn(model_dir): return ["model"]
def input_fn(data, content_type): return ["in", data, content_type]
def predict_fn(data, model): return data + model
def output_fn(prediction, accept): return "|".join(prediction + [accept])
"""
    assert transform(artifact(script), b"text", "text/csv", "text/plain") == (
        b"in|text|text/csv|model|text/plain",
        "text/plain",
    )


def test_transform_fn_replaces_the_steps(artifact: Make):
    """test_user_module_transform_fn: it is given model, data, content type and accept."""
    script = """
def model_fn(model_dir): return "m"
def transform_fn(model, data, content_type, accept): return f"{model} {data} {content_type} {accept}", "text/plain"
"""
    assert transform(artifact(script), b"1") == (b"m 1 application/json application/json", "text/plain")


@pytest.mark.parametrize("step", ["input_fn", "predict_fn", "output_fn"])
def test_transform_fn_excludes_the_steps(artifact: Make, step: str):
    """test_validate_user_module_error: the toolkit's own words."""
    root = artifact(f"def transform_fn(a, b, c, d): pass\ndef {step}(a, b): pass\n")
    with pytest.raises(InvalidModel, match="Cannot use transform_fn implementation in conjunction with input_fn"):
        find_functions(root)


def test_context_is_given_to_functions_that_take_it(artifact: Make):
    """test_run_handle_function: one parameter more than the function's own is the context."""
    script = """
def model_fn(model_dir, context): return context.model_dir
def predict_fn(data, model, context): return context.request_id
"""
    assert transform(artifact(script)) == (b'"r1"', JSON)


@pytest.mark.parametrize("arguments", ["", "a", "a, b, c, d"])
def test_wrong_number_of_arguments_is_told_at_load(artifact: Make, arguments: str):
    """test_run_handle_function_with_wrong_args: said when the model loads, not at the first request."""
    with pytest.raises(InvalidModel, match=r"predict_fn takes \d arguments but 2 were given"):
        find_functions(artifact(f"def predict_fn({arguments}): pass\n"))


@pytest.mark.parametrize("accept", [None, "", "*/*"])
def test_missing_accept_is_the_default(artifact: Make, accept: str | None):
    """test_transform_no_accept and test_transform_any_accept."""
    script = "def model_fn(d): return 1\ndef predict_fn(data, model): return data\n"
    assert transform(artifact(script), b"[1, 2]", JSON, accept) == (b"[1, 2]", JSON)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [(JSON, "str"), ("text/csv", "str"), ("application/json; charset=utf-8", "bytes"), ("text/plain", "bytes")],
)
def test_body_is_text_for_exactly_json_and_csv(artifact: Make, content_type: str, kind: str):
    """test_transform_decode: any other content type, parameters included, leaves the bytes."""
    script = """
def input_fn(data, content_type): return type(data).__name__
def model_fn(d): return 1
def predict_fn(data, model): return data
def output_fn(prediction, accept): return prediction
"""
    assert transform(artifact(script), b"1", content_type, "text/plain") == (kind.encode(), "text/plain")


def test_result_may_bring_its_content_type(artifact: Make):
    """test_transform_tuple: a pair is a body and its type."""
    script = """
def model_fn(d): return 1
def predict_fn(data, model): return data
def output_fn(prediction, accept): return b"\\x00", "application/octet-stream"
"""
    assert transform(artifact(script)) == (b"\x00", "application/octet-stream")


def test_user_error_has_no_traceback(artifact: Make):
    """An exception becomes one line that names its kind; the toolkit would send the whole traceback."""
    script = "def model_fn(d): return 1\ndef predict_fn(data, model): raise RuntimeError('no luck')\n"
    with pytest.raises(UserCodeFailed, match=r"^code/inference.py raised RuntimeError: no luck$") as failed:
        transform(artifact(script))
    assert failed.value.status == 500


def test_error_with_a_status_keeps_it(artifact: Make):
    """test_transform_with_inference_error: BaseInferenceToolkitError(status, message, phrase) gives its status."""
    script = """
class Refused(Exception):
    status_code, message, phrase = 422, "too sad", "Unprocessable"
def model_fn(d): return 1
def predict_fn(data, model): raise Refused
"""
    with pytest.raises(UserCodeFailed, match="Unprocessable: too sad") as failed:
        transform(artifact(script))
    assert failed.value.status == 422


def test_unsupported_types_of_the_defaults_are_415_and_406(artifact: Make):
    """Where the toolkit answers 500 for a format that it does not know, this says whose fault it is."""
    script = "def model_fn(d): return 1\ndef predict_fn(data, model): return data\n"
    with pytest.raises(UnsupportedMediaType):
        transform(artifact(script), b"1", "application/pdf")
    with pytest.raises(NotAcceptable):
        transform(artifact(script), b"1", JSON, "application/pdf")


def test_result_of_another_type_is_told(artifact: Make):
    """output_fn must give text or bytes."""
    script = "def model_fn(d): return 1\ndef transform_fn(m, d, c, a): return 7\n"
    with pytest.raises(UserCodeFailed, match="expected str or bytes"):
        transform(artifact(script))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import no_such_module_anywhere", "cannot be imported: ModuleNotFoundError"),
        ("x = (", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit"),
        ("x = 1", "defines none of model_fn"),
    ],
)
def test_broken_script_is_told_to_its_owner(artifact: Make, script: str, message: str):
    """What is wrong with the code is an invalid model, never a dead server."""
    with pytest.raises(InvalidModel, match=message):
        find_functions(artifact(script))


def test_model_fn_that_raises_is_an_invalid_model(artifact: Make):
    """A load that fails in the user's code says so."""
    root = artifact("def model_fn(d): raise OSError('weights?')\ndef predict_fn(a, b): pass\n")
    with pytest.raises(InvalidModel, match=r"model_fn failed: OSError: weights\?"):
        load_model(functions(root), root)


def test_code_folder_and_lib_can_be_imported(artifact: Make, tmp_path: Path):
    """code/ and code/lib are on sys.path, as the toolkit puts them."""
    script = """
import beside_7f, inside_7f
def model_fn(d): return beside_7f.A + inside_7f.B
def predict_fn(d, m): return m
"""
    (tmp_path / "code" / "lib").mkdir(parents=True)
    (tmp_path / "code" / "beside_7f.py").write_text("A = 1\n")
    (tmp_path / "code" / "lib" / "inside_7f.py").write_text("B = 2\n")
    assert transform(artifact(script)) == (b"3", JSON)


def test_phrase_of_an_error_is_one_line(artifact: Make):
    """test_transform_with_inference_error: line ends in the phrase are stripped."""
    script = """
class Refused(Exception):
    status_code, message, phrase = 400, "no", "Bad\\r\\nRequest"
def model_fn(d): return 1
def predict_fn(data, model): raise Refused
"""
    with pytest.raises(UserCodeFailed, match=r"^Bad Request: no$"):
        transform(artifact(script))


def test_model_is_made_once(artifact: Make):
    """test_validate_and_initialize: model_fn runs when the model is loaded, and never again."""
    script = """
calls = []
def model_fn(model_dir):
    calls.append(model_dir)
    return calls
def predict_fn(data, model): return len(model)
"""
    root = artifact(script)
    found = functions(root)
    transformer = Transformer(found, TOOLKIT_DEFAULTS, load_model(found, root))
    answers = [transformer.transform(b"[1]", JSON, None, Context(str(root)))[0] for _ in range(3)]
    assert answers == [b"1"] * 3


@pytest.mark.parametrize("kind", ["7", "''", "'a/b\\r\\nX: 1'", "'a/\u00e9'"])
def test_content_type_that_no_header_can_hold_is_a_failure(artifact: Make, kind: str):
    """Whatever stands beside the body must be one line of US-ASCII."""
    script = f"def model_fn(d): return 1\ndef transform_fn(m, d, c, a): return 'x', {kind}\n"
    with pytest.raises(UserCodeFailed, match="expected a content type"):
        transform(artifact(script))


def test_model_fn_is_given_the_models_of_its_artifact(artifact: Make):
    """By the context: what it makes of them is the model."""
    root = artifact("def model_fn(d, context): return context.default_model\ndef predict_fn(d, m): return m\n")
    assert load_model(functions(root), root, str.upper) is str.upper
