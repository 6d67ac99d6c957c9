"""Functions of Liberty cells: every notation, the order of operators, and what is none."""

import pytest

from lutcore.gen.asic.functions import truth_table
from lutcore.gen.asic.library import MAJORITY3, NAND2, PARITY3


@pytest.mark.parametrize("function", ["!(A & B)", "(A*B)'", "A' + B'", "!A|!B", "(A B)'", "!(B A)"])
def test_functions_in_every_notation(function):
    assert truth_table(function, ("A", "B")) == NAND2


def test_operator_precedence():
    inputs = ("A", "B", "C")
    assert truth_table("A ^ B & C", inputs) == truth_table("(A ^ B) & C", inputs)
    assert truth_table("A | B & C", inputs) == truth_table("A | (B & C)", inputs)
    assert truth_table("A^B^C", inputs) == PARITY3
    assert truth_table("A&B | C&(A|B)", inputs) == MAJORITY3
    assert truth_table("1", inputs) == 0xFF


@pytest.mark.parametrize("function", ["", "A &", "A)", "(A", "IQ", "A | B C D", "& A"])
def test_bad_functions(function):
    with pytest.raises(ValueError):
        truth_table(function, ("A", "B", "C"))
