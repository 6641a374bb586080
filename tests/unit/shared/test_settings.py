"""What a setting that cannot be read says, and what it does not."""

from __future__ import annotations

import pytest

from haulier.errors import DefinitionError
from haulier.settings import Settings


@pytest.mark.parametrize("name", ["HAULIER_SECRET_LAB_FILE", "PGPASSWORD_FILE"])
def test_a_secret_written_where_its_file_belongs_is_not_repeated(name):
    with pytest.raises(
        DefinitionError, match=rf"{name}: the file it names cannot be read \(No such file"
    ) as refused:
        Settings.from_env({name: "hunter2"})
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_secret_that_is_no_text_is_named(tmp_path):
    (tmp_path / "secret").write_bytes(b"\xffhunter2")
    with pytest.raises(
        DefinitionError, match="HAULIER_SECRET_LAB_FILE: the file it names cannot be read"
    ) as refused:
        Settings.from_env({"HAULIER_SECRET_LAB_FILE": str(tmp_path / "secret")})
    assert "hunter2" not in str(refused.value)
