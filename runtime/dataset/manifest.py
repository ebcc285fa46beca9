"""What a reference set says of itself: ``manifest.json``, with a checksum of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from runtime.dataset.places import Place, Season
from runtime.dataset.tariffs import TariffWorld
from runtime.errors import InputError

MANIFEST = "manifest.json"

NAME = "Peerwatt reference communities"

VERSION = "1.0"
"""Counted up when a model, a place or the layout changes: the same seed then makes another set."""


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or str(path) != value or value == ".":
        raise ValueError(f"found {value!r}, expected a relative path inside the set")
    return value


InsidePath = Annotated[str, AfterValidator(_inside)]
"""Path relative to the set's folder, with slashes, that does not lead out of it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(_Frozen):
    """A file of the set.

    Attributes:
        path: relative to the set's folder.
        bytes: its size.
        sha256: digest of its bytes.
    """

    path: InsidePath
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Community(_Frozen):
    """A community of the set.

    Attributes:
        key: its name, and that of its folder.
        folder: its folder.
        place: key of its place.
        climate: of the place.
        season: of its days.
        size: number of members.
        tariff: its tariff world.
        days: the sessions' local dates.
        zone: IANA zone that these days are in.
        slot_minutes: length of a slot [min].
        members: their names, in order.
        files: all files in its folder.
    """

    key: str = Field(pattern="^[a-z0-9-]+$")
    folder: InsidePath
    place: str
    climate: str
    season: Season
    size: int
    tariff: TariffWorld
    days: list[str]
    zone: str
    slot_minutes: int
    members: list[str]
    files: list[FileEntry]

    @property
    def scenario(self) -> str:
        """Path of its scenario, relative to the set's folder."""
        return f"{self.folder}/scenario.toml"


class Manifest(_Frozen):
    """A whole set.

    Attributes:
        name: of the set.
        version: of its models and layout.
        generator: what made it.
        generator_version: its version.
        seed: of all that is random.
        licence: SPDX name of the data's licence.
        conventions: how times, energies and prices are to be read.
        units: by file, what its columns are in.
        invented: what in it is made up, in words.
        models: what made the numbers, in words with sources.
        libraries: by name, version, licence and what it was used for.
        places: the places with all their parameters and sources.
        communities: the communities.
        files: files of the set that belong to no community.
    """

    name: str
    version: str
    generator: str
    generator_version: str
    seed: int
    licence: str
    conventions: list[str]
    units: dict[str, str]
    invented: list[str]
    models: dict[str, str]
    libraries: dict[str, dict[str, str]]
    places: list[Place]
    communities: list[Community]
    files: list[FileEntry]

    def all_files(self) -> list[FileEntry]:
        """Every file but the manifest itself."""
        return [*self.files, *(entry for community in self.communities for entry in community.files)]


def file_entry(folder: Path, path: Path) -> FileEntry:
    """Describe a file of a set.

    Args:
        folder: the set's.
        path: the file, in it.
    """
    content = path.read_bytes()
    return FileEntry(
        path=path.relative_to(folder).as_posix(),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def manifest_text(manifest: Manifest) -> str:
    """The manifest as its file has it."""
    return manifest.model_dump_json(indent=1) + "\n"


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Read the manifest of a set.

    Returns:
        The manifest, and the digest of its file, which names the set to the byte.

    Raises:
        InputError: there is none, or it is none.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; expected a folder made by `peerwatt dataset make`"
        ) from error
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: not a manifest: {where or 'JSON'}: {first['msg']}") from error
    return manifest, hashlib.sha256(content).hexdigest()
