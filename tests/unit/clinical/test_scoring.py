"""A table against an answer key."""

import pytest

from haulier.errors import DefinitionError
from haulier_clinical.scoring import Question, score, shown

KEY = [
    {"ID": "1", "CODE": "BUN", "N": "3.42", "C": ""},
    {"ID": "2.0", "CODE": "K", "N": "", "C": "<5"},
    {"ID": "3", "CODE": "K", "N": "7", "C": "x"},
]
OURS = [
    {"ID": "1", "CODE": "UREAN", "N": "3.4201", "C": ""},
    {"ID": "2", "CODE": "K", "N": "", "C": "<5"},
    {"ID": "4", "CODE": "K", "N": "7", "C": "x"},
]


def answers(*questions):
    today = {"BUN": "UREAN"}
    asked = [Question.of(text) for text in questions]
    return list(score(OURS, KEY, ["ID", "CODE"], asked, lambda _, cell: today.get(cell, cell)))


def test_rows_are_found_by_numbers_as_numbers_and_by_todays_names():
    rows, beyond = answers()

    assert (rows.rows, rows.matched, rows.examples) == (3, 2, ("3 K",))
    assert (beyond.rows, beyond.differing, beyond.examples) == (3, 1, ("4 K",))


def test_a_number_may_differ_by_a_share_of_the_keys():
    assert [one.differing for one in answers("N~0.001 where N!=")[2:]] == [1]
    assert [one.differing for one in answers("N where N!=")[2:]] == [2]


def test_a_question_is_asked_of_the_rows_it_is_about():
    (answer,) = answers("C where N= and CODE=K")[2:]

    assert (answer.rows, answer.matched, answer.differing) == (1, 1, 0)


def test_people_see_the_first_cells_that_differ():
    assert "3 K: 'no row', the key has '7'" in shown(answers("N"))


def test_what_is_no_question_is_refused():
    with pytest.raises(DefinitionError, match="no question"):
        Question.of("N ~ where")
