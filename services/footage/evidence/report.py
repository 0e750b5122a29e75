"""The readable page of a bundle, in Bahasa Indonesia and English: for people, not for proof (the manifest is)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from services.contracts.evidence.manifest import CameraEvidence, Manifest

STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}i{color:#57606a}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #d0d7de;padding:.3rem .5rem;text-align:left;"
    "vertical-align:top}code{font-size:.85em;word-break:break-all}.note{background:#fff8c5;padding:.6rem .8rem}"
)


def moment(at_us: int) -> str:
    """A time for people: RFC 3339, UTC, milliseconds."""
    try:
        at = datetime.fromtimestamp(at_us / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{at_us} µs"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def both(indonesian: str, english: str) -> str:
    """A text in both languages."""
    return f"{indonesian} <i>/ {english}</i>"


def row(label: str, value: str) -> str:
    """A fact of a table of facts; ``value`` is HTML."""
    return f"<tr><th>{label}</th><td>{value}</td></tr>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML."""
    header = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{header}</tr>{body}</table>"


def html(manifest: Manifest) -> str:
    """The page. Every text that people gave is escaped; it loads nothing from anywhere."""
    facts = [
        row(both("Berkas bukti", "Bundle"), f"<code>{escape(manifest.bundle)}</code>"),
        row(both("Diminta oleh", "Asked for by"), f"{escape(manifest.asked_by)} ({escape(manifest.role)})"),
        row(both("Alasan", "Reason"), escape(manifest.reason) or "–"),
        row(both("Insiden", "Incident"), escape(manifest.incident) or "–"),
        row(both("Rentang waktu (UTC)", "Range (UTC)"), f"{moment(manifest.from_us)} – {moment(manifest.to_us)}"),
        row(both("Dibuat (UTC)", "Made (UTC)"), moment(manifest.created_us)),
        row(both("Perangkat lunak", "Software"), escape(manifest.software)),
    ]
    thinned = (
        '<p class="note">'
        + both(
            "Sebagian rekaman ini telah ditipiskan oleh masa simpan: hanya sebagian bingkai gambar yang tersisa.",
            "Some of this footage was thinned by retention: only some of its frames are left.",
        )
        + "</p>"
        if manifest.thinned
        else ""
    )
    made_up = (
        '<p class="note"><strong>'
        + both(
            "Sebagian rekaman ini dibuat-buat untuk demo. Tidak ada kamera yang mengambil gambar itu saat itu.",
            "Some of this footage was made up for a demo. No camera took these pictures at that time.",
        )
        + "</strong></p>"
        if manifest.made_up
        else ""
    )
    names = sorted(manifest.keys)  # as the manifest writes them
    keys = [(f"<code>{escape(name)}</code>", f"<code>{escape(manifest.keys[name])}</code>") for name in names]
    year = moment(manifest.created_us)[:4]
    return (
        f'<!doctype html><html lang="id"><head><meta charset="utf-8"><title>Pantau {manifest.bundle}</title>'
        f"<style>{STYLE}</style></head><body><h1>{both('Laporan bukti rekaman', 'Footage evidence report')}</h1>"
        f"<table>{''.join(facts)}</table>{made_up}{thinned}{''.join(map(_camera, manifest.cameras))}"
        f"<h2>{both('Kunci publik perekam', 'Public keys of the recorders')}</h2>"
        f"{table((both('Nama', 'Name'), 'Ed25519'), keys)}"
        f"<h2>{both('Cara memeriksa', 'How to check')}</h2><p>"
        + both(
            "Pasang Pantau di komputer mana pun, lalu jalankan perintah di bawah. Tidak perlu jaringan.",
            "Install Pantau on any computer and run the command below. It needs no network.",
        )
        + f"</p><pre>pip install pantau\npantau verify {escape(manifest.bundle)}.zip</pre><p><i>Pantau, {year}</i></p>"
        "</body></html>"
    )


def _camera(camera: CameraEvidence) -> str:
    parts = [
        (
            f"<code>{escape(part.file)}</code>",
            moment(part.from_us),
            moment(part.to_us),
            f"± {part.statement.uncertainty_us / 1000:.0f} ms ({_clock(part.statement.clock)})",
            (both("penuh", "full") if part.statement.tier == "full" else both("ditipiskan", "thinned"))
            + (f", {both('dibuat-buat untuk demo', 'made up for a demo')}" if part.statement.made else ""),
            escape(part.statement.recorder),
        )
        for part in camera.parts
    ]
    gaps = [
        (moment(gap.from_us), moment(gap.to_us) if gap.to_us else "–", escape(gap.cause), escape(gap.detail))
        for gap in camera.gaps
    ]
    heads = ("Berkas / <i>File</i>", both("Dari", "From"), both("Sampai", "To"), both("Ketelitian", "Uncertainty"),
             both("Mutu", "Tier"), both("Perekam", "Recorder"))  # fmt: skip
    no_parts = f"<p>{both('Tidak ada rekaman pada rentang ini.', 'There is no footage in this range.')}</p>"
    gap_heads = (both("Dari", "From"), both("Sampai", "To"), both("Sebab", "Cause"), both("Rincian", "Detail"))
    return (
        f"<h2>{escape(camera.name)} <code>{escape(camera.camera)}</code></h2>"
        + (table(heads, parts) if parts else no_parts)
        + (f"<h3>{both('Celah rekaman', 'Gaps')}</h3>" + table(gap_heads, gaps) if gaps else "")
    )


def _clock(clock: str) -> str:
    return both("jam kamera", "camera's clock") if clock == "rtcp" else both("jam perekam", "recorder's clock")


README: Final = """\
BUKTI REKAMAN PANTAU / PANTAU FOOTAGE EVIDENCE

report.html     laporan yang dapat dibaca / the readable report
manifest.json   isi berkas ini, ditandatangani / what is in here, signed
*/*.mp4         rekaman, dapat diputar langsung / the footage, plays as it is

Periksa keasliannya / check that nothing was altered:

    pip install pantau
    pantau verify FILE.zip

0 = utuh / intact, 1 = berubah / altered, 2 = tidak terbaca / unreadable
"""
