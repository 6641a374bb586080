"""What it takes to follow a table, said before a run; and what people see of it (docs/adr/0016)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from support.replicated import followed, told
from support.things import day

from haulier.errors import DefinitionError, TransientError
from haulier_extract.sources import find

LONG = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n"


@pytest.fixture
def here(logical, tier, tmp_path):
    with followed(logical, tier, tmp_path) as made:
        yield made


class TestAsked:
    @pytest.mark.parametrize(
        ("made", "why"),
        [
            ("REPLICA IDENTITY USING INDEX things_other", "does not say thing of a row that is gone"),
            ("REPLICA IDENTITY NOTHING", "does not say thing of a row that is gone"),
            (
                "DROP CONSTRAINT things_pkey, ADD PRIMARY KEY (thing) DEFERRABLE, REPLICA IDENTITY FULL",
                "is DEFERRABLE",
            ),
            ("DROP CONSTRAINT things_pkey, REPLICA IDENTITY FULL", "source.sql.key is missing"),
        ],
    )
    def test_a_key_that_the_log_could_not_follow_is_refused_and_no_slot_made(self, here, made, why):
        here.do("CREATE UNIQUE INDEX things_other ON things (colour)", f"ALTER TABLE things {made}")
        with pytest.raises(DefinitionError, match=why):
            here.run(0)
        assert here.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []

    def test_rows_of_tables_that_inherit_have_a_log_of_their_own(self, here):
        here.do("CREATE TABLE more () INHERITS (things)", "INSERT INTO more VALUES ('z', 'red', NULL, 1)")
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        assert [thing for thing, *_ in here.hauled()] == ["a"]

    def test_a_log_without_a_word_of_the_table_is_not_confirmed_by_looking(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        confirmed = here.confirmed()
        here.do("CREATE TABLE other AS SELECT md5(n::text) FROM generate_series(1, 400000) n")
        here.do("UPDATE things SET price = 2")
        instance, standing = told(here), {"slot": here.slot, "value": here.position()}
        find(instance, day(1), here.settings, standing, preview=True)

        assert here.confirmed() == confirmed

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"publication": "other"}, "CREATE PUBLICATION other FOR TABLE public.things"),
            ({"slot": "taken"}, "taken is there and not of this database with the plugin pgoutput"),
        ],
    )
    def test_what_is_not_as_it_must_be_is_named_before_a_run(self, here, changes, why):
        here.do(
            "SELECT pg_create_logical_replication_slot('taken', 'test_decoding')"
        ) if "slot" in changes else None
        here.define(**changes)
        with pytest.raises(DefinitionError, match=why):
            here.run(0)

    def test_a_publication_decides_which_rows_and_columns_there_are(self, here):
        here.do(
            "ALTER PUBLICATION hauled SET TABLE things (thing, colour, price) WHERE (thing < 'n')",
            "INSERT INTO things VALUES ('a', 'red', 'x', 1), ('z', 'red', 'x', 1)",
        )
        here.run(0)
        assert here.hauled() == [("a", "red", None, 1)]
        here.do("UPDATE things SET price = 2")
        here.run(1)
        assert here.hauled() == [("a", "red", None, 2)]

    def test_a_publication_without_deletions_is_said(self, here):
        here.do("ALTER PUBLICATION hauled SET (publish = 'insert, update')")
        notes = here.run(0)["extract"].notes
        assert "the publication hauled leaves out deletions and truncations" in notes

    def test_rows_that_a_policy_would_hide_are_an_error_and_not_left_out(self, here):
        """The log has them whatever the policy: a snapshot without them would not be its beginning."""
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'blue', NULL, 1)")
        secret = here.source.environment["PGPASSWORD"]
        here.do(
            f"CREATE ROLE reader_of_{here.slot} LOGIN REPLICATION PASSWORD '{secret}'",
            f"GRANT SELECT ON things TO reader_of_{here.slot}",
            "ALTER TABLE things ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY reds ON things FOR SELECT USING (colour = 'red')",
        )
        file = here.definitions / "pipelines" / "things.yaml"
        user = here.source.environment["PGUSER"]
        file.write_text(file.read_text().replace(f"//{user}@", f"//reader_of_{here.slot}@"))
        try:
            with pytest.raises(DefinitionError, match="would be affected by row-level security"):
                here.run(0)
            here.do(f"ALTER ROLE reader_of_{here.slot} BYPASSRLS")
            here.run(0)
        finally:
            here.do(f"DROP OWNED BY reader_of_{here.slot}", f"DROP ROLE reader_of_{here.slot}")

        assert here.hauled() == here.there()

    def test_no_password_and_no_user_shows(self, here):
        broken = here.settings.secrets | {"LAB": "very wrong"}

        instance = told(here)
        with pytest.raises((DefinitionError, TransientError)) as raised:
            find(instance, day(0), replace(here.settings, secrets=broken))
        assert "very wrong" not in str(raised.value)


class TestForPeople:
    def test_check_finds_what_a_run_would_stumble_over(self, here):
        here.define(publication="other")
        _, found, _ = here.place.say("check", "--pipeline", "things")
        assert "CREATE PUBLICATION other" in json.dumps(found)
        here.define()
        code, found, _ = here.place.say("check", "--pipeline", "things")
        assert code == 0, found
        assert here.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []

    def test_check_refuses_a_slot_that_two_instances_name(self, here):
        file = here.definitions / "pipelines" / "things.yaml"
        document = {**yaml.safe_load(file.read_text()), "instances": {"one": {}, "two": {}}}
        file.write_text(yaml.safe_dump(document))
        code, found, _ = here.place.say("check", "--pipeline", "things")

        assert code == 2
        assert f"{here.slot} is also that of things/two" in json.dumps(found)
        assert f"{here.slot} is also that of things/one" in json.dumps(found)
        (here.definitions / "pipelines" / "others.yaml").write_text(
            yaml.safe_dump({**document, "pipeline": "others", "instances": {"one": {}}})
        )
        _, found, _ = here.place.say("check", "--pipeline", "others")
        assert f"{here.slot} is also that of things/one, things/two" in json.dumps(found)
        document["source"]["sql"]["changes"]["slot"] = "slot_{pipeline}_{instance}"
        for name in ("things", "others"):
            (here.definitions / "pipelines" / f"{name}.yaml").write_text(
                yaml.safe_dump({**document, "pipeline": name})
            )
        code, found, _ = here.place.say("check")
        assert code == 0, found

    def test_discover_proposes_a_contract_that_a_run_can_follow_the_table_by(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1.5), ('b', 'blue', NULL, 2)")
        code, text, _ = here.place.say("discover", "--pipeline", "things", "--table", "shop.things")
        assert code == 0
        (here.definitions / "contracts" / "things.odcs.yaml").write_text(json.dumps(text["contract"]))
        here.run(0)
        here.do(
            f"UPDATE things SET body = ({LONG}) WHERE thing = 'a'", "DELETE FROM things WHERE thing = 'b'"
        )
        here.run(1)
        here.do("UPDATE things SET colour = 'green'")
        here.run(2)

        assert here.hauled() == here.there()
        here.do("TRUNCATE things")
        here.run(3)
        assert here.hauled() == []

    def test_a_person_sees_and_moves_the_position(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        begun = here.position()
        here.do("UPDATE things SET price = 2")
        here.run(1)
        _, shown, _ = here.place.say("state", "show", "--pipeline", "things")
        assert here.position() in json.dumps(shown)
        code, moved, _ = here.place.say(
            "state", "set", "--pipeline", "things", "--value", begun, "--reason", "again"
        )
        assert (code, moved["after"]) == (0, {"slot": here.slot, "value": begun})
        assert here.run(2)["load"].counts["unchanged"] == 1
        here.place.say("state", "set", "--pipeline", "things", "--value", "nowhere", "--reason", "again")
        with pytest.raises(DefinitionError, match="'nowhere' is no place in a log"):
            here.run(3)
