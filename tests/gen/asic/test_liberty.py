"""Liberty text: what is read of every notation, and where what is none of them is wrong."""

import time

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.gen.asic.liberty import Group, library_group


def read(text: str) -> Group:
    return library_group(text.encode("latin-1"), "some.lib")


def tree(group: Group):
    """Kind, names, attributes and groups."""
    simple = {name: group.text(name) for name in group.simple}
    with_arguments = {name: group.texts(name) for name in group.complex}
    return group.kind, group.names, simple, with_arguments, [tree(each) for each in group.groups]


#: Statements of a library -> its attributes with a value, with arguments, and its groups.
NOTATIONS = {
    "attribute": ("a : 1;", {"a": "1"}, {}, []),
    "quoted": ('a : " x y ";', {"a": "x y"}, {}, []),
    "empty": ('a : ""; b : ;', {"a": "", "b": ""}, {}, []),
    "last-counts": ("a : 1; a : 2;", {"a": "2"}, {}, []),
    "expression": ("a : VDD + 0.5 * ( x );", {"a": "VDD + 0.5 * ( x )"}, {}, []),
    "arguments": ('a (1, "ff"); a (2,x)', {}, {"a": [("1", "ff"), ("2", "x")]}, []),
    "no-arguments": ("a ();", {}, {"a": [()]}, []),
    "spaces-for-commas": ('a ("1, 2" "3, 4");', {}, {"a": [("1, 2", "3, 4")]}, []),
    "no-semicolons": ('a : 1\nb : "2"\nc (3)\nd : 4', {"a": "1", "b": "2", "d": "4"},
                      {"c": [("3",)]}, []),
    "semicolon-after-brace": ("g () { a : 1; }; ;", {}, {}, [("g", (), {"a": "1"}, {}, [])]),
    "no-semicolon-before-brace": ("g () { a : 1 }", {}, {}, [("g", (), {"a": "1"}, {}, [])]),
    "comments": ("/* } */ a // } {\n : /* \" */ 1 // \"\n ;", {"a": "1"}, {}, []),
    "comment-in-string": ('a : "/* x // y";', {"a": "/* x // y"}, {}, []),
    "slash": ("a : x/y;", {"a": "x/y"}, {}, []),
    "continued": ("a : \\\n 1; b \\\r\n (2);", {"a": "1"}, {"b": [("2",)]}, []),
    "continued-string": ('a ("1, \\\n2", \\\n "3, \\\r\n4");', {}, {"a": [("1, 2", "3, 4")]}, []),
    "line-in-string": ('a ("1,\n2");', {}, {"a": [("1,\n2",)]}, []),
    "quote-in-string": (r'a : "x \" } y"; b : 2;', {"a": 'x " } y', "b": "2"}, {}, []),
    "carriage-returns": ("a : 1;\r\nb : 2\r\n", {"a": "1", "b": "2"}, {}, []),
    "brackets": ("g (A[0:3], B[1]) { }", {}, {}, [("g", ("A[0:3]", "B[1]"), {}, {}, [])]),
    "marks-in-strings": ('a : "{;}" ; g ("(x)") { }', {"a": "{;}"}, {},
                         [("g", ("(x)",), {}, {}, [])]),
    "no-space": ('a:1;g(x){b:2;}', {"a": "1"}, {}, [("g", ("x",), {"b": "2"}, {}, [])]),
    "latin-1": ('a : "\xb5m";', {"a": "\xb5m"}, {}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTATIONS)
def test_notations(case):
    text, *expected = NOTATIONS[case]
    assert tree(read(f"library (l) {{ {text} }}")) == ("library", ("l",), *expected)
    assert tree(read(f"// {{\n/* {{ */library(l){{{text}}}\n// }}"))[2:] == tuple(expected)


def test_numbers():
    group = read(
        'library (l) { a : "1.5"; b ("1, -2e-3", " .5 ,+4.") ; c (1, 2, 9); c (3, 4, 9); }'
    )
    assert group.number("a") == 1.5 and group.number("none", 7) == 7
    assert np.array_equal(group.numbers("b"), [1, -0.002, 0.5, 4])
    assert not len(group.numbers("none"))
    assert group.pairs("c") == [(1, 2), (3, 4)]


@pytest.mark.parametrize("value", ["x", "1 2", '""', "nan", "inf", "1,5", "VDD + 1"])
def test_what_is_no_number(value):
    group = read(f"library (l) {{\n b : 1;\n a : {value};\n }}".replace("1,5", '"1,5"'))
    with pytest.raises(
        InputError, match=r"^some\.lib, line 3: a of library \(l\) must be a number"
    ):
        group.number("a")


#: Text after ``library (l) {`` on the first line -> line and words of the error.
WRONG = {
    "cut-in-group": ("\ncell (A) {\n area : 1;", 2, r"cell \(A\) does not end: close it; .* cut"),
    "cut-in-word": ("\ncell (A) {\n ar", 2, r"cell \(A\) does not end"),
    "cut-in-arguments": ("\n cell (A", 2, "arguments of cell do not end"),
    "cut-in-string": ('\n\n a : "x', 3, "string begins that does not end: close it"),
    "cut-in-comment": ("\n } /* x", 2, "comment begins that does not end"),
    "no-quote": ('\n a : "x;\n b : "y";\n }', 2, "string begins that does not end in its line"),
    "no-quote-of-two": ('\n a : "x;\n b : "y";\n c : y"; }', 2, "does not end in its line"),
    "brace-for-value": ("\n a : { }", 2, r"unexpected '\{'"),
    "two-values": ('\n a : "x" "y"; }', 2, "unexpected '\"y\"' in library"),
    "bracket": ("\n a : 1; ) ; }", 2, r"unexpected '\)' in library \(l\)"),
    "brace-in-arguments": ("\n a (1 {);\n }", 2, r"unexpected '\{'"),
    "number-for-name": ("\n 1a : 1; }", 2, "unexpected '1a'"),
    "word": ("\n a b : 1; }", 2, "unexpected 'a'"),
    "string-for-name": ('\n "a" : 1; }', 2, "unexpected '\"a\"'"),
    "too-many-braces": ("\n } }", 2, r"unexpected '\}'"),
    "after-the-end": ("\n }\n a : 1;", 3, "unexpected 'a'"),
    "two-libraries": ("\n }\nlibrary (m) { }", 3, r"library \(m\) comes second"),
    "cell-in-cell": ("\ncell (A) {\n pin (X) {\n cell (B) { }", 4, r"\(B\) .* before cell \(A\)"),
    "cell-outside": ("}\ncell (B) { }", 2, r"cell \(B\) is in no library"),
    "line-in-name": ('\ncell ("A\n") {\n area : 1;', 2, r"cell \(A \) does not end"),
    "deep": ("\n" + "g () {" * 70 + "}" * 71, 2, "more than 64 groups"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_the_line(case):
    text, line, message = WRONG[case]
    with pytest.raises(InputError, match=rf"^some\.lib, line {line}: .*{message}") as caught:
        read(f"library (l) {{{text}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "lorem ipsum", "a : 1; library (l) { }", "{", "/* library (l) {"]
)
def test_what_is_no_library(text):
    with pytest.raises(InputError, match=r"^some\.lib: not a Liberty file: give one"):
        read(text)


def test_an_attribute_of_the_right_group_is_named():
    text = "library (l) {\n g () {\n a : 1;\n }\n b : a;\n a : x;\n}"
    assert str(read(text).error("so", "a")) == "some.lib, line 6: so"
    assert str(read(text).groups[0].error("so", "a")) == "some.lib, line 3: so"
    assert str(read(text).groups[0].error("so", "b")) == "some.lib, line 2: so"


@pytest.mark.parametrize("part", ["/*", '"', "a(", "{", "\\", "//", "a:", '" ', "[", "/"])
def test_crafted_files_take_no_long_time(part):
    begin = time.process_time()
    with pytest.raises(InputError):
        read("library (l) { " + 200_000 * part)
    assert time.process_time() - begin < 10
