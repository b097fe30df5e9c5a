"""The drill of the cloud commands in small: the same code, fewer interruptions."""

from tests.cloud.scenes import STORY
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
