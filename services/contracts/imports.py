"""Import jobs: a file of cameras that a registry goes through, while the page that gave it may come and go."""

from typing import Final, Literal

from pydantic import Field

from services.contracts.catalogue import ImportRow
from services.contracts.models import Id, Model

KEPT_SECONDS: Final = 86_400
"""A job, its report and its refused rows are forgotten after a day."""

ImportStatus = Literal["waiting", "running", "done", "failed", "cancelled"]
RowResult = Literal["added", "updated", "unchanged", "refused"]


class ImportJob(Model):
    """One import."""

    id: Id
    status: ImportStatus = "waiting"
    dry_run: bool = False
    actor: str
    created_us: int
    finished_us: int | None = None
    expires_us: int
    rows: int = 0
    """In the file; 0 until it has been read."""
    done: int = 0
    """How many of them were gone through."""
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    notes: tuple[str, ...] = ()
    """About the file as a whole: unknown columns."""
    ignored: tuple[str, ...] = ()
    """The unknown columns."""
    detail: str = ""
    """Why it failed."""

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("done", "failed", "cancelled")


class KeptImport(Model):
    """A job as it is kept: one entry of the bucket `subjects.IMPORTS_BUCKET`, by its id."""

    job: ImportJob
    role: str
    """Of the actor."""
    runner: Id
    """The registry that goes through it. Where it dies another begins anew."""
    format: Literal["csv", "json"]
    """Of the file."""
    boxes: dict[str, str] = Field(default={}, repr=False)
    """Key id of each registry that was there when the job began → the key of its `ImportFile`, sealed to it."""
    rows: str = Field(default="", repr=False)
    """The result of each row, packed."""
    refused_csv: str = Field(default="", repr=False)
    """The refused rows without passwords, packed."""


class ImportFile(Model):
    """The file of a job: one entry of the bucket `subjects.IMPORT_FILES_BUCKET`, until the job is over."""

    box: str = Field(repr=False)
    """The packed file, sealed: it may hold passwords. `KeptImport.boxes` have the key."""


class ImportKey(Model):
    """One job."""

    id: Id


class ImportsQuery(Model):
    """All jobs."""


class ImportsList(Model):
    """Newest first."""

    imports: tuple[ImportJob, ...]


class ImportRowsQuery(Model):
    """The result of each row, as far as it has one."""

    id: Id
    result: RowResult | None = None
    after: int = 0
    """Continue after this row."""
    limit: int = Field(default=1000, ge=1, le=5000)


class ImportRows(Model):
    """In the order of the file."""

    rows: tuple[ImportRow, ...]
    next: int | None = None
    """The row to continue after; None: this was the last page."""


class ImportReportRows(Model):
    """All rows of a job, as they are kept."""

    rows: tuple[ImportRow, ...]


class RefusedRows(Model):
    """The refused rows as CSV without passwords, to be mended and imported again."""

    csv: str
