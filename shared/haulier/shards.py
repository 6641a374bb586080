"""A run in shards: how extract's parts are shared out, and how what was made of them is one manifest again.

Extract seals how a large run is split. Each shard is transformed under a manifest of its own; the closing
load joins these into the manifest that transform would have sealed of the whole run, so that whoever reads
it later never sees the difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from haulier.digests import definition_digest, digest_of
from haulier.errors import DataError, DefinitionError
from haulier.exchange import Exchange, ObjectMissing
from haulier.keys import RunKeys
from haulier.manifest import Manifest, Part, Shard, SourceAccount
from haulier.sealing import manifest_digest, read_manifest, seal

#: What must be the same in every shard: rows of one run are not made by two versions of the code.
_SAME = ("haulier", "functions")


def shards_of(extracted: Manifest) -> tuple[Shard, ...]:
    """How extract split the run; a run that was not split is one shard.

    Raises `DataError` when the shards do not hold every row and part that extract accounts for: each closes
    its own account, so that what is in none would be missed by nobody.
    """
    accepted = tuple(account.accepted for account in extracted.accounts)
    shards = extracted.shards or (Shard(first=0, end=len(extracted.parts), accepted=accepted),)
    bounds = [0, *(shard.end for shard in shards)]
    held = tuple(map(sum, zip(*(shard.accepted for shard in shards), strict=True)))
    if held != accepted or bounds[-1] != len(extracted.parts) or bounds[:-1] != [s.first for s in shards]:
        raise DataError(
            f"extract split {extracted.pipeline}/{extracted.instance} {extracted.content} into shards of {sum(held)} rows "
            f"and accounts for {sum(accepted)}; {_WHAT_NOW}"
        )
    return shards


def of_shard(extracted: Manifest, number: int) -> Manifest:
    """Extract's manifest as one shard sees it, shards counted from 1.

    Its accounts cover its own rows, and the first one also what extract itself rejected and stripped, so
    that all shards together account for every row read. Raises `DefinitionError` for a number too high.
    """
    shards = shards_of(extracted)
    if number > len(shards):
        raise DefinitionError(
            f"--shard {number}: extract split {extracted.pipeline}/{extracted.instance} {extracted.content} into {len(shards)}"
        )
    shard, first = shards[number - 1], number == 1
    accounts = tuple(
        SourceAccount(
            delivery_id=account.delivery_id,
            read=accepted + (account.read - account.accepted if first else 0),
            accepted=accepted,
            filtered=account.filtered if first else 0,
            rejected=account.rejected if first else 0,
            stripped=account.stripped if first else 0,
        )
        for account, accepted in zip(extracted.accounts, shard.accepted, strict=True)
    )
    return msgspec.structs.replace(
        extracted,
        parts=extracted.parts[shard.first : shard.end],
        produced=sum(part.rows for part in extracted.parts[shard.first : shard.end]),
        accounts=accounts,
        headers=extracted.headers if first else (),
        rejects=extracted.rejects if first else (),
        rules=extracted.rules if first else {},
    )


def transform_digest(extracted: Manifest, shard: int | None = None) -> str:
    """The ``input_digest`` of what transform makes of it.

    Not of part layout, and not of the functions' code: that is a version, recorded as one.
    """
    meant = definition_digest(extracted.definition, extracted.contract)
    of_shard = () if shard is None else (shard, len(shards_of(extracted)))
    return digest_of("transform", extracted.content, extracted.input_digest, meant, *of_shard)


def read_transformed(exchange: Exchange, keys: RunKeys, attempt: str) -> Manifest:
    """What transform made of the whole run: sealed by one task, or joined here from its shards and sealed.

    Raises `ObjectMissing` when transform has something left to do, `DataError` when the shards do not belong
    together.
    """
    try:
        return read_manifest(exchange, keys, "transform")
    except ObjectMissing as missing:
        extracted = read_manifest(exchange, keys, "extract")
        numbers = range(1, len(shards_of(extracted)) + 1)
        try:
            made = [_made_of(exchange, keys, extracted, number) for number in numbers]
        except ObjectMissing as shard_missing:
            raise (shard_missing if extracted.shards else missing) from None
    return seal(exchange, keys, _joined(extracted, made, attempt))


def _made_of(exchange: Exchange, keys: RunKeys, extracted: Manifest, number: int) -> Manifest:
    keys = replace(keys, shard=number)
    manifest = read_manifest(exchange, keys, "transform")
    if manifest.input_digest != transform_digest(extracted, number):
        raise DataError(
            f"{keys.manifest('transform')} was made of other input than extract sealed; {_WHAT_NOW}",
            key=keys.manifest("transform"),
        )
    return manifest


def _joined(extracted: Manifest, made: Sequence[Manifest], attempt: str) -> Manifest:
    """What transform would have sealed of the whole run. Raises `DataError` when two versions made it."""
    for name in _SAME:
        versions = {manifest.versions.get(name) for manifest in made}
        if len(versions) > 1:
            raise DataError(
                f"the shards of {extracted.pipeline}/{extracted.instance} {extracted.content} were transformed by different "
                f"versions of {name}; {_WHAT_NOW}",
                versions=sorted(map(str, versions)),
            )
    return msgspec.structs.replace(
        made[0],
        shard=None,
        attempt=attempt,
        created_at=datetime.now(UTC),
        input_digest=transform_digest(extracted),
        parent_digest=manifest_digest(extracted),
        accounts=_accounts(made),
        parts=_all(manifest.parts for manifest in made),
        rejects=_all(manifest.rejects for manifest in made),
        flags=_all(manifest.flags for manifest in made),
        produced=sum(manifest.produced for manifest in made),
        rejected_outputs=sum(manifest.rejected_outputs for manifest in made),
        rules=_sum(manifest.rules for manifest in made),
        filtered=_sum(manifest.filtered for manifest in made),
        notes=tuple(dict.fromkeys(note for manifest in made for note in manifest.notes)),
    )


def _accounts(made: Sequence[Manifest]) -> tuple[SourceAccount, ...]:
    """Every shard accounts for every delivery, in the same order."""
    together = zip(*(manifest.accounts for manifest in made), strict=True)
    names = ("read", "accepted", "filtered", "rejected", "stripped")
    return tuple(
        SourceAccount(
            delivery_id=accounts[0].delivery_id,
            **{name: sum(getattr(account, name) for account in accounts) for name in names},
        )
        for accounts in together
    )


def _all(parts: Iterable[tuple[Part, ...]]) -> tuple[Part, ...]:
    return tuple(part for some in parts for part in some)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    together: Counter[str] = Counter()
    for some in counts:
        together.update(some)
    return dict(sorted(together.items()))


_WHAT_NOW = "open a new generation: extract with --reprocess"
