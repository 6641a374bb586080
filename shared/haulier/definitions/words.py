"""The kinds of values that definitions are made of."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Natural = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
#: `NAME` is the environment variable `HAULIER_SECRET_NAME`, or the file that `HAULIER_SECRET_NAME_FILE` names.
SecretName = Name
Share = Annotated[float, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section of a definition file: an unknown key in it is an error."""
