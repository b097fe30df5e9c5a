"""Models' names as metrics show them: few, and fit for CloudWatch."""

import threading

import pytest

from absa_server.telemetry.model_labels import MOST_CHARS, ONE_MODEL, OTHERS, ModelLabels


def test_models_up_to_the_limit_have_labels_of_their_own():
    """The limit's last model has one, the next is counted with the others, and the first keeps its own."""
    labels = ModelLabels(2)
    assert [labels.of(name) for name in ("a", "b", "c", "a")] == ["a", "b", OTHERS, "a"]


def test_the_one_model_needs_no_place():
    """A container with one model names it whatever the limit is."""
    assert ModelLabels(0).of(ONE_MODEL) == ONE_MODEL


@pytest.mark.parametrize(
    ("name", "label"),
    [("hôtel.tar.gz", "h?tel.tar.gz"), ("a\nb", "a?b"), (":x", "x"), (" ", "?"), ("x" * 500, "x" * MOST_CHARS)],
)
def test_label_is_a_dimension_that_cloudwatch_takes(name, label):
    """Printable ASCII, bounded, neither blank nor begun by a colon."""
    assert ModelLabels(1).of(name) == label


def test_stampede_of_new_names_stays_within_the_limit():
    """Threads that all bring new names at once get no more labels than the limit."""
    labels, barrier = ModelLabels(5), threading.Barrier(8)
    found: set[str] = set()

    def bring(number: int) -> None:
        barrier.wait(10)
        found.update(labels.of(f"{number}-{each}") for each in range(50))

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found - {OTHERS}) == 5
