"""What is this worker's: assignments held against the catalogue."""

from services.contracts.models import Assignment, Camera, Credentials, Profile
from services.ingest.assignments import is_mine, plans


def assignment(camera: str, worker: str = "me", incarnation: int = 5) -> Assignment:
    return Assignment(camera=camera, site="mall", workers=(worker,), incarnations=(incarnation,))


def camera(name: str, **fields: object) -> Camera:
    profiles = {"main": Profile(url=f"rtsp://host/{name}"), "sub": Profile(url=f"rtsp://host/{name}/sub")}
    return Camera.model_validate({"id": name, "site": "mall", "name": name, "profiles": profiles} | fields)


def test_an_assignment_for_an_earlier_life_of_this_worker_counts_and_for_a_later_one_does_not() -> None:
    assert is_mine(assignment("a", incarnation=5), "me", 5)
    assert is_mine(assignment("a", incarnation=4), "me", 5)
    assert not is_mine(assignment("a", incarnation=6), "me", 5)
    assert not is_mine(assignment("a", worker="other"), "me", 5)


def test_plans_hold_what_is_enabled_and_known_with_the_revision_as_epoch() -> None:
    found = plans(
        "me",
        5,
        assignments={
            "ingest.a": (assignment("a"), 17),
            "ingest.off": (assignment("off"), 18),
            "ingest.unknown": (assignment("unknown"), 19),
            "ingest.other": (assignment("other", worker="other"), 20),
            "recorder.b": (assignment("b"), 21),
        },
        cameras={
            "a": (camera("a", audio=True), 1),
            "b": (camera("b"), 2),
            "off": (camera("off", enabled=False), 3),
            "other": (camera("other"), 4),
        },
        credentials={"a": (Credentials(username="u", password="p"), 9)},
    )
    assert list(found) == ["a"]
    plan = found["a"]
    assert (plan.epoch, plan.site) == (17, "mall")
    main, sub = plan.source("main"), plan.source("sub")
    assert (main.url, main.username, main.password, main.audio) == ("rtsp://host/a", "u", "p", True)
    assert not sub.audio
    assert "password" not in repr(main).replace("password=''", "")
