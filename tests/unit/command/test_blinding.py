"""Which columns of a source may be shown where a contract has blinded ones."""

from __future__ import annotations

from support.transforming import column, contract, definition

from haulier_command.blinding import shown_sources

ARM = column("arm", classification="blinded")
RESULT, UNIT, THING = column("result"), column("unit"), column("thing", aliases=("Item No",))


def shown(*columns, **transform):
    return shown_sources(
        definition(**transform),
        contract(*columns),
        [one for one in columns if one.classification == "blinded"],
    )


def test_a_column_is_shown_by_its_name_its_synonyms_and_the_names_a_definition_gives_it():
    assert shown(THING, ARM, RESULT, columns={"Value": "result", "Group": "arm"}) == {
        "thing": "thing",
        "item no": "thing",
        "result": "result",
        "value": "result",
    }


def test_a_name_that_may_mean_a_blinded_column_is_not_shown():
    twice = column("code", aliases=("ARM",))

    assert shown(twice, ARM) == {"code": "code"}
    assert shown(THING, ARM, columns={"thing": "arm"}) == {"item no": "thing"}


def test_what_functions_compute_is_no_column_of_the_source():
    assert shown(column("score", derived=True), ARM) == {}


def test_columns_that_become_rows_are_shown_where_neither_label_nor_cell_is_blinded():
    unpivot = {"columns": {"ALB": "a", "ALT": "b"}, "names_to": "thing", "values_to": "result"}
    beside = {"unit": {"a": "U1"}, "arm": {"b": "U2"}}

    open_ones = shown(THING, ARM, RESULT, UNIT, unpivot={**unpivot, "beside": beside})
    assert {"alb", "alt", "u1"} <= open_ones.keys()
    assert not {"u2", "arm"} & open_ones.keys()
    for blinded in ("names_to", "values_to"):
        assert not {"alb", "alt"} & shown(THING, ARM, RESULT, unpivot={**unpivot, blinded: "arm"}).keys()


def test_the_cells_of_items_are_never_shown():
    """One of the items may be the blinded one."""
    pivot = {
        "by": ["thing"],
        "names_from": "item",
        "values_from": "result",
        "pattern": "(?P<item>.+)",
        "items": {"ARM": "arm", "R": "result"},
    }

    assert "result" in shown(THING, ARM, RESULT)
    assert shown(THING, ARM, RESULT, pivot=pivot).keys() == {"thing", "item no"}
