"""Keyed pseudonyms: without the key no way back, with another key other pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace

from haulier.errors import DefinitionError
from haulier.settings import SECRET_PREFIX, Settings
from haulier_clinical.exporting.datasets import Dataset

#: The variables that say who somebody is; every other one speaks of subjects through them.
VARIABLES = ("USUBJID", "SUBJID")

#: Bytes, as HMAC-SHA256 wants them: a shorter key can be found by trying.
_LEAST = 32
_VERSION_OF = b"haulier-clinical: version of a pseudonym key\0"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A secret of this name; it shows in no ``repr`` and never enters the database."""

    name: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, name: str) -> Key:
        """Raises `DefinitionError` where there is no such secret, or a short one."""
        variable = f"{SECRET_PREFIX}{name}"
        secret = settings.secrets.get(name, "").encode()
        if not secret:
            raise DefinitionError(
                f"--pseudonymise {name}: the environment has neither {variable} nor {variable}_FILE; the key is kept there"
            )
        if len(secret) < _LEAST:
            raise DefinitionError(
                f"{variable}: a key of {len(secret)} bytes can be guessed; take at least {_LEAST}, such as: openssl rand -hex 32"
            )
        return cls(name=name, secret=secret)

    @property
    def version(self) -> str:
        """Tells one key from another and says nothing of either."""
        return hashlib.sha256(_VERSION_OF + self.secret).hexdigest()[:8]

    def pseudonym(self, variable: str, value: str) -> str:
        """Always the same for the same value of the same variable; 64 hexadecimal digits."""
        return hmac.new(self.secret, f"{variable}\0{value}".encode(), hashlib.sha256).hexdigest()


def under_pseudonyms(dataset: Dataset) -> Dataset:
    """The dataset as it is described once its subjects are pseudonyms: as wide as those are."""
    width = hashlib.sha256().digest_size * 2
    return replace(
        dataset,
        columns=tuple(
            replace(column, length=width) if column.name in VARIABLES else column
            for column in dataset.columns
        ),
    )
