"""Whether somebody other than its author has approved what a pipeline does, as it is now.

An approval names the digest of what was approved: every instance as resolved, contract, references, models and the user's own
functions and sources of the definitions folder. Whatever of it changes later, the approval is of something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from haulier.definitions import Approval, Instance
from haulier.digests import definition_digest
from haulier.errors import DefinitionError
from haulier.loading import PipelineFile, instances, resolve, states
from haulier.problems import quoted
from haulier.settings import Settings


def approval_digest(file: PipelineFile) -> str:
    """SHA-256 of what an approval is of. Raises `DefinitionError`."""
    digest = hashlib.sha256()
    code: set[Path] = set()
    for name in instances(file):
        for at in states(file, name):
            instance, contract = resolve(file, name, at)
            since = f" {at:%Y-%m-%d}" if at else ""
            digest.update(f"{name}{since}\0{definition_digest(instance, contract)}\0".encode())
            code |= set(_code(file.folder, instance))
    for path in sorted(code):
        digest.update(path.relative_to(file.folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _code(folder: Path, instance: Instance) -> Iterator[Path]:
    """The modules of the folder that it may call: all, for they import one another."""
    if instance.transform.functions:
        yield from (folder / "functions").rglob("*.py")
    if instance.source.custom:
        yield from (folder / "sources").rglob("*.py")


def problem_of(file: PipelineFile) -> str | None:
    """Why a pipeline counts as not approved; ``None``: it is. Raises `DefinitionError`."""
    approval, digest = file.pipeline.approval, approval_digest(file)
    if approval is None:
        return f"is not approved: somebody other than its author adds approval to it, with digest: {digest}"
    if approval.digest != digest:
        return (
            f"version {quoted(approval.version)} was approved by {approval.approver}, and what it does has changed since "
            f"(digest {approval.digest[:12]}…, now {digest[:12]}…); have it approved anew, with digest: {digest}"
        )
    return None


def approved(file: PipelineFile, settings: Settings) -> tuple[Approval | None, str | None]:
    """The approval that holds; else why there is none, unless nobody claims that there is.

    Raises `DefinitionError` where settings require one.
    """
    if file.pipeline.approval is None and not settings.require_approval:
        return None, None
    problem = problem_of(file)
    if problem is None:
        return file.pipeline.approval, None
    if settings.require_approval:
        raise DefinitionError(f"{file.shown}: approval: {problem} (HAULIER_REQUIRE_APPROVAL)")
    return None, f"{file.shown}: approval: {problem}"
