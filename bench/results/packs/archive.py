"""The file of a pack: a zip archive, whose members are checked against its manifest before any of them is used."""

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from bench.errors import StoreError

FORMAT = "mod97 pack"
VERSION = 1
"""Of the format. Raised when packs of this version cannot be read by code of earlier ones."""

MANIFEST, LAYOUT, RUNS, CURVES = "manifest.json", "layout.json", "runs.parquet", "curves.parquet"
REQUIRED = {LAYOUT, RUNS}
MEMBERS = {*REQUIRED, CURVES}

BEGIN = b"PK\x03\x04"
"""The first bytes of a zip archive."""

LARGEST_DOCUMENT = 2**26
"""Bytes of a JSON member when it is inflated: a small file must not fill the memory."""

BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The time stamp of all members, the earliest that a zip archive can say: equal records are equal packs."""


class Archive(NamedTuple):
    """The content of a pack."""

    manifest: dict[str, Any]
    members: dict[str, bytes]


def write_archive(file: BinaryIO, about: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    """Write the archive.

    :param about: what the manifest says besides format and members.
    """
    sums = {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in members.items()}
    manifest = {"format": FORMAT, "version": VERSION, **about, "members": sums}
    with ZipFile(file, "w") as archive:
        for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **members}.items():
            info = ZipInfo(name, BEGINNING)
            info.external_attr = 0o644 << 16
            # Parquet is compressed already.
            info.compress_type = ZIP_DEFLATED if name.endswith(".json") else ZIP_STORED
            archive.writestr(info, data)


def read_archive(path: Path) -> Archive:
    """Read a pack and check its members.

    :raises StoreError: where it cannot be read, is no pack, is of another version, or is not as it was written.
    """
    try:
        with path.open("rb") as file:
            is_begun = file.read(len(BEGIN)) == BEGIN
            with ZipFile(file) as archive:
                return _checked(path, archive, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise StoreError(f"The pack {str(path)!r} cannot be read: {error.strerror or error}.") from error
    except BadZipFile as error:
        if is_begun:
            raise damaged(path, f"its end is missing, or it was changed ({error})") from error
        raise _no_pack(path, "it is no zip archive") from error
    except (ValueError, LookupError, TypeError, RuntimeError, EOFError, zlib.error) as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def damaged(path: Path, why: str) -> StoreError:
    """The error of a pack that is not as it was written."""
    return StoreError(f"The pack {str(path)!r} is damaged: {why}. Copy it again, or pack its records anew.")


def _no_pack(path: Path, why: str) -> StoreError:
    return StoreError(f"{str(path)!r} is no pack: {why}. python -m bench pack makes packs.")


def _checked(path: Path, archive: ZipFile, size: int) -> Archive:
    """The content of an archive.

    :param size: of its file in bytes.
    """
    infos = {info.filename: info for info in archive.infolist()}
    if MANIFEST not in infos:
        raise _no_pack(path, f"the archive holds no {MANIFEST}")
    manifest = json.loads(_content(archive, infos[MANIFEST], size))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _no_pack(path, f"its {MANIFEST} is of something else")
    if manifest["version"] != VERSION:
        raise StoreError(
            f"The pack {str(path)!r} is of version {manifest['version']!r} of the format, and this mod97 reads version "
            f"{VERSION}: update mod97, or pack its records anew with this one."
        )
    sums = manifest["members"]
    for info in archive.infolist():
        if info.filename not in {MANIFEST, *sums} or info is not infos[info.filename]:
            raise damaged(path, f"it holds {info.filename!r}, which its manifest does not tell of")
    if not REQUIRED <= sums.keys() <= MEMBERS:
        raise damaged(path, f"its manifest tells of {', '.join(sums)} instead of {', '.join(sorted(MEMBERS))}")
    members = {}
    for name, told in sums.items():
        members[name] = _content(archive, infos[name], size)
        if (len(members[name]), _sum(members[name])) != (told["bytes"], told["sha256"]):
            raise damaged(path, f"its {name} is not what was packed, by its SHA-256")
    return Archive(manifest, members)


def _content(archive: ZipFile, info: ZipInfo, size: int) -> bytes:
    """The content of a member.

    :raises ValueError: where it would be larger than any pack's.
    """
    is_document = info.filename.endswith(".json")
    if info.file_size > (LARGEST_DOCUMENT if is_document else size):
        raise ValueError(f"its {info.filename} would be {info.file_size:,} bytes")
    return archive.read(info)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
