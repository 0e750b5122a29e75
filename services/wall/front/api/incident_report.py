"""``/api/v1/incidents/{incident}/report.html``: what is known of an incident on one page, to be filed or printed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web

from services.contracts import subjects
from services.contracts.exports import ExportJob, ExportStatus
from services.contracts.incidents import IncidentEntry, IncidentKey
from services.contracts.models import Incident, IncidentAction
from services.footage.evidence.report import STYLE, both, row, table
from services.mesh.rpc import call as ask
from services.wall.front.api.evidence import shown_incident
from services.wall.front.context import FrontRequest

_ACTIONS: Final[dict[IncidentAction, str]] = {
    "opened": both("dibuka", "opened"),
    "updated": both("diubah", "changed"),
    "remarked": both("catatan ditambahkan", "remark added"),
    "exported": both("rekaman diekspor", "footage exported"),
    "closed": both("ditutup", "closed"),
    "reopened": both("dibuka kembali", "reopened"),
    "released": both("rekaman tidak ditahan lagi", "footage no longer held"),
}
_STATES: Final[dict[ExportStatus, str]] = {
    ExportStatus.WAITING: both("menunggu", "waiting"),
    ExportStatus.RUNNING: both("sedang dibuat", "being made"),
    ExportStatus.DONE: both("selesai", "done"),
    ExportStatus.FAILED: both("gagal", "failed"),
    ExportStatus.CANCELLED: both("dibatalkan", "cancelled"),
}


async def incident_report(request: FrontRequest) -> web.Response:
    """The page, as a file of its own: it loads nothing from anywhere."""
    front = request.front
    where = subjects.rpc(front.home, "registry", "incidents-get")
    key = IncidentKey(id=request.path_id("incident"))
    entry = await ask(front.bus, where, key, IncidentEntry, actor=request.actor)
    incident = shown_incident(request, entry.incident)
    jobs = [job for job in front.exports.values() if job.incident == incident.id and job.visible_to(request.actor)]
    names = {camera: found.name for camera in incident.cameras if (found := front.cameras.get(camera))}
    page = report_page(
        incident,
        sorted(jobs, key=lambda job: job.created_us),
        names,
        zone=front.settings.time_zone,
        made_us=front.clock.now_us(),
        made_by=request.actor.name,
    )
    request.audit("incident-report", incident.id, {"title": incident.title})
    return web.Response(
        text=page,
        content_type="text/html",
        charset="utf-8",
        headers={hdrs.CONTENT_DISPOSITION: f'attachment; filename="{incident.id}.html"'},
    )


def report_page(
    incident: Incident, jobs: Sequence[ExportJob], names: dict[str, str], *, zone: str, made_us: int, made_by: str
) -> str:
    """The page in both languages; times in ``zone``. Every text that people gave is escaped."""
    clock = _clock(zone)
    until = both("masih berlangsung", "goes on") if incident.to_us is None else clock(incident.to_us)
    facts = [
        row(both("Nomor", "Number"), f"<code>{escape(incident.id)}</code>"),
        row(both("Keadaan", "State"), _state(incident, clock)),
        row(both("Rentang waktu", "Range"), f"{clock(incident.from_us)} – {until}"),
        row(both("Dibuka oleh", "Opened by"), f"{escape(incident.created_by)}, {clock(incident.created_us)}"),
        row(both("Keterangan", "Description"), _lines(incident.notes) or "–"),
        row(both("Laporan dibuat", "Report made"), f"{clock(made_us)}, {escape(made_by)}"),
    ]
    cameras = [(escape(names.get(camera, camera)), f"<code>{escape(camera)}</code>") for camera in incident.cameras]
    remarks = [(clock(remark.at_us), escape(remark.by), _lines(remark.text)) for remark in incident.remarks]
    steps = [
        (clock(step.at_us), escape(step.by), _ACTIONS[step.action], escape(", ".join(step.fields)))
        for step in incident.history
    ]
    exports = [
        (
            clock(job.created_us),
            escape(job.actor),
            both("bukti", "evidence") if job.kind == "bundle" else both("klip", "clip"),
            escape(", ".join(camera.name for camera in job.cameras)),
            f"{clock(job.from_us)} – {clock(job.to_us)}",
            _STATES[job.status],
            f"{escape(job.file_name)}<br><code>{job.sha256}</code>" if job.sha256 else "–",
        )
        for job in jobs
    ]
    when, who = both("Waktu", "Time"), both("Oleh", "By")
    export_heads = (when, who, both("Jenis", "Kind"), both("Kamera", "Cameras"), both("Rentang", "Range"),
                    both("Keadaan", "State"), "SHA-256")  # fmt: skip
    sections = (
        (both("Kamera", "Cameras"), (both("Nama", "Name"), "Id"), cameras),
        (both("Catatan", "Remarks"), (when, who, both("Catatan", "Remark")), remarks),
        (both("Ekspor", "Exports"), export_heads, exports),
        (both("Riwayat", "History"), (when, who, both("Tindakan", "Step"), both("Isian", "Fields")), steps),
    )
    body = "".join(f"<h2>{title}</h2>{table(heads, rows) if rows else '<p>–</p>'}" for title, heads, rows in sections)
    title = escape(incident.title)
    return (
        f'<!doctype html><html lang="id"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1><table>{''.join(facts)}</table>{body}</body></html>"
    )


def _state(incident: Incident, clock: Callable[[int], str]) -> str:
    if incident.closed_us is None:
        return both("terbuka, rekaman ditahan", "open, footage held")
    closed = f"{both('ditutup', 'closed')} {clock(incident.closed_us)}"
    if incident.released or incident.release_us is None:
        return closed
    return f"{closed}; {both('ditahan sampai', 'held until')} {clock(incident.release_us)}"


def _clock(zone: str) -> Callable[[int], str]:
    place = ZoneInfo(zone)
    return lambda at_us: datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(place).isoformat(sep=" ")


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
