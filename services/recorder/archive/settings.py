"""The archive's settings. Imports only core dependencies, because every command loads all settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from services.contracts.ladder import parse_ladder
from services.mesh.settings import Section


def keep_seconds(text: str) -> float:
    """An age as a ladder writes it; infinite for ``for ever``."""
    return parse_ladder(f"full {text}").full_seconds


def _age(text: str) -> str:
    try:
        keep_seconds(text)
    except ValueError:
        raise ValueError(f"{text!r} is no age; write it like '365d' or 'for ever'") from None
    return text


def _url(text: str) -> str:
    if text and not (text.startswith("s3://") and text.removeprefix("s3://").partition("/")[0]):
        raise ValueError("write it like s3://bucket/folder")
    return text


class ArchiveSettings(Section):
    """``[archive]``, ``PANTAU_ARCHIVE_*``."""

    section: ClassVar[str] = "archive"

    url: Annotated[str, AfterValidator(_url)] = Field(
        default="", description="Where recordings are copied to: `s3://bucket/folder`. Empty: there is no archive."
    )
    endpoint: str = Field(
        default="", description="Where S3-compatible storage answers: `https://host:port`; default: Amazon's."
    )
    region: str = Field(default="us-east-1", description="The bucket's region.")
    access_key_id: str = Field(
        default="", description="The access key's id; default: what AWS's own variables or the machine's role give."
    )
    secret_access_key: SecretStr = Field(default=SecretStr(""), description="The access key's secret.")
    what: Literal["all", "held"] = Field(
        default="all", description="`all` closed segments are copied, or only footage that an incident has `held`."
    )
    keep: Annotated[str, AfterValidator(_age)] = Field(
        default="for ever",
        description="How long copies are kept, counted from when the footage was taken; held footage longer.",
    )
    wait: bool = Field(
        default=True,
        description="Footage is thinned and removed here only after its copy was verified. Near the floor of free "
        "space recording goes on all the same, and what goes uncopied is told.",
    )
    megabits_per_second: float = Field(
        default=0.0, ge=0, description="The most that copying takes of the line, each way; 0: as much as it gets."
    )
    uploads: int = Field(default=2, ge=1, le=32, description="Segments that are copied at once.")
    recheck_days: float = Field(
        default=30.0, ge=0, description="Each copy is read again and held against its SHA-256 so often; 0: never."
    )

    @property
    def days(self) -> float | None:
        """How long copies of all footage are kept; None where there are none, or of held footage alone."""
        return keep_seconds(self.keep) / 86_400 if self.url and self.what == "all" else None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.url.removeprefix("s3://").partition("/")[0]

    @property
    def folder(self) -> str:
        """Below it."""
        return self.url.removeprefix("s3://").partition("/")[2].strip("/")
