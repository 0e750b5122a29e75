"""The report of an incident: everything that people wrote stands in it, escaped, at the site's time."""

from services.contracts.exports import ExportedCamera, ExportJob, ExportStatus
from services.contracts.models import Incident, IncidentStep, Remark
from services.contracts.permissions import Role
from services.wall.front.api.incident_report import report_page

NOON_US = 1_793_361_600_000_000
"""Some moment in October 2026."""


def test_a_report_names_cameras_remarks_exports_and_steps_and_runs_no_text_of_theirs() -> None:
    incident = Incident(
        id="incident-1",
        title="Crash <b>",
        cameras=("gate", "gone"),
        from_us=NOON_US,
        notes="two cars\n<script>",
        created_by="siti",
        remarks=(Remark(at_us=NOON_US, by="budi", text="tow truck & police"),),
        history=(IncidentStep(at_us=NOON_US, by="budi", action="updated", fields=("notes",)),),
    )
    job = ExportJob(
        id="export-1",
        kind="bundle",
        cameras=(ExportedCamera(camera="gate", site="home", name="Main gate"),),
        from_us=NOON_US,
        to_us=NOON_US + 60_000_000,
        incident="incident-1",
        actor="siti",
        role=Role.OPERATOR,
        created_us=NOON_US,
        status=ExportStatus.DONE,
        file_name="bundle.zip",
        sha256="ab" * 32,
        expires_us=NOON_US,
    )
    page = report_page(incident, [job], {"gate": "Main gate"}, zone="Asia/Jakarta", made_us=NOON_US, made_by="siti")
    for text in ("Crash &lt;b&gt;", "two cars<br>&lt;script&gt;", "tow truck &amp; police", "Main gate", "gone",
                 "bundle.zip", "ab" * 32, "notes", "+07:00", "masih berlangsung"):  # fmt: skip
        assert text in page
    assert "<script>" not in page
