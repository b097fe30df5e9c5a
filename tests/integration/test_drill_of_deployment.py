"""The drills of the cloud in small: the same code, fewer interruptions, fewer shapes."""

from tests.cloud.scenes import STORY
from tests.drills import templates
from tests.drills.deploy import drill


def test_interrupted_commands_come_to_the_same():
    """Ended right after each call that changes something, and run again: nothing tells the difference."""
    rows = drill((STORY["rollback"], STORY["destroy"]), only_changing=True)
    assert [row.differences for row in rows] == [(), ()]
    assert [row.interrupted for row in rows] == [4, 4]


def test_drill_sees_what_does_not_come_to_the_same(monkeypatch):
    """A rollback that forgets what it was about to do goes back twice when it is run twice; the drill can fail."""
    monkeypatch.setattr("absa_server.cloud.releases.Releases.pending", lambda _: None)
    (row,) = drill((STORY["rollback"],), only_changing=True)
    assert any("UpdateStack" in difference for difference in row.differences)


def test_templates_drill_in_small():
    """The pipeline deployed and updated, no metric unknown; one planted error seen; every role asked."""
    (shape, containers, endpoint, policies, _, unknown) = templates.deployed_row("pipeline")
    assert (shape, containers, endpoint) == ("pipeline", "SingleModel+SingleModel", "InService, updated")
    assert (policies, unknown) == ("InvocationsTracking, ConcurrencyTracking", "0")
    assert templates.planted_row(templates.seeded.no_role) == ("no role", 0, 1)
    assert [(name, wrong) for name, _, _, wrong in templates.role_rows() if wrong] == []
