"""How a manifest is committed: one conditional write, last; and how it is read back.

What is stored is the manifest and the SHA-256 of its bytes, so that neither a bit that fell over nor
an edit by hand is believed:

    {"sha256": "9f86…", "manifest": {"version": 1, …}}
"""

from __future__ import annotations

import hashlib
import threading

import msgspec

from haulier import manifest as manifests
from haulier.errors import DataError
from haulier.exchange import Exchange, ObjectMissing
from haulier.keys import RunKeys
from haulier.manifest import Manifest

# msgspec 0.22 takes a type apart when it first meets it, and ends the interpreter when two threads do so at once:
# instances hauled side by side in one process. It holds the GIL anyway, so that taking turns costs nothing.
_ONE_AT_A_TIME = threading.Lock()


class _Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sha256: str
    manifest: msgspec.Raw


def seal(exchange: Exchange, keys: RunKeys, manifest: Manifest) -> Manifest:
    """Commit the manifest, or adopt the one that was first: what the caller goes on with is returned.

    Raises `DataError` when another attempt sealed other content for the same generation.
    """
    _check_place(keys, manifest.step, manifest)
    data = manifests.encode(manifest)
    sealed = _Sealed(sha256=hashlib.sha256(data).hexdigest(), manifest=msgspec.Raw(data))
    if exchange.create(keys.manifest(manifest.step), msgspec.json.encode(sealed)):
        return manifest
    winner = read_manifest(exchange, keys, manifest.step)
    # Extract's input is the reservation in the ledger, which no two attempts can hold differently.
    if winner.input_digest == manifest.input_digest or manifest.step == "extract":
        return winner
    raise DataError(
        f"{keys.manifest(manifest.step)}: attempt {winner.attempt} sealed other content for this generation "
        f"(input digest {winner.input_digest[:12]}…, this attempt's {manifest.input_digest[:12]}…); "
        "nothing was changed: open a new generation with extract --reprocess",
        key=keys.manifest(manifest.step),
        winner=winner.attempt,
        expected=manifest.input_digest,
        found=winner.input_digest,
    )


def read_manifest(exchange: Exchange, keys: RunKeys, step: str) -> Manifest:
    """What the step sealed.

    Raises `ObjectMissing` when it has not yet, and `DataError` when what is there is no manifest of
    this version, was changed after it was sealed, or belongs elsewhere.
    """
    try:
        manifest = _opened(exchange, keys, step)
    except DataError:
        # What broke on the way here is whole the second time; what is broken in the store is not.
        manifest = _opened(exchange, keys, step)
    _check_place(keys, step, manifest)
    return manifest


def _opened(exchange: Exchange, keys: RunKeys, step: str) -> Manifest:
    key = keys.manifest(step)
    try:
        data = exchange.get(key)
    except ObjectMissing as exc:
        raise ObjectMissing(
            f"{exchange.url}/{key} is not there: {step} must run first, for {keys.pipeline}/{keys.instance} "
            f"{keys.interval} {keys.content}",
            store=exchange.url,
            key=key,
        ) from exc
    where = f"{exchange.url}/{key}"
    try:
        with _ONE_AT_A_TIME:
            sealed = msgspec.json.decode(data, type=_Sealed)
            if hashlib.sha256(sealed.manifest).hexdigest() != sealed.sha256:
                raise DataError(f"{where} is not what was sealed: its digest differs; {_WHAT_NOW}", key=key)
            return manifests.decode(bytes(sealed.manifest))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        problem = f"{where} is not a manifest that this version reads ({exc}); {_WHAT_NOW}"
        raise DataError(problem, key=key) from exc


_WHAT_NOW = "restore the object, or open a new generation: extract with --reprocess"


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 of the manifest as it is stored, for ``parent_digest``.

    It covers attempt, times and part layout, too: chain ``input_digest``s by ``input_digest``.
    """
    return hashlib.sha256(manifests.encode(manifest)).hexdigest()


def _check_place(keys: RunKeys, step: str, manifest: Manifest) -> None:
    claims = (manifest.step, manifest.pipeline, manifest.instance, manifest.content)
    shard = None if step == "extract" else keys.shard
    interval = (manifest.interval_start, manifest.interval_end)
    parts = (*manifest.parts, *manifest.rejects, *manifest.flags)
    if claims != (step, keys.pipeline, keys.instance, keys.content):
        problem = f"it says it is {'/'.join(claims)}"
    elif interval != (keys.interval.start, keys.interval.end):
        problem = f"it says it is of [{interval[0].isoformat()}, {interval[1].isoformat()})"
    elif manifest.shard != shard:
        problem = f"it says it is of {'shard ' + str(manifest.shard) if manifest.shard else 'the whole run'}"
    elif strays := [part.key for part in parts if not part.key.startswith(keys.root)]:
        problem = f"its part {strays[0]} lies elsewhere"
    else:
        return
    raise DataError(f"{keys.manifest(step)} does not belong there: {problem}", key=keys.manifest(step))
