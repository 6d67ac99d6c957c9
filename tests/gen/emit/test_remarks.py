"""What the source says about a signal."""

import textwrap

import pytest

from lutcore.gen.emit.remarks import remark

SOURCE = textwrap.dedent('''
    class Engine:
        """Does it.

        Members
        -------
        words, spare : Out stream, :func:`~lutcore.some.layout`
            What comes out of it,
            a word at a time.
        stop : In
            Stop at once.
        level : Out, bits of ``depth``
        row_0, row_1, ... : Out
            A row.

        Attributes
        ----------
        stop : int
            Not this one.
        """

        def __init__(self):
            super().__init__({"words": Out(1), "stop": In(1)})

        def elaborate(self, platform):
            left = Signal(3)  # words that are left
            # The place of the
            # next word.
            place = Signal(8)
            text = Signal(name="a # b")
            long = Signal(
                4,
            )  # spread over lines
            return m


    def compass():
        return {
            "north": In(1),  # comes from the north
            # comes from
            # the south
            "south": In(1),
            "east": In(1),
        }


    class Other:
        """Refers.

        Members
        -------
        stop, words : as :class:`Engine`
        north, south, east : In, of :func:`compass`
        """

        def elaborate(self, other):
            pass
''')


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "engine.py"
    path.write_text(SOURCE)
    lines = SOURCE.splitlines()

    def at(text):
        return f"{path}:{1 + next(i for i, line in enumerate(lines) if text in line)}"

    return at


@pytest.mark.parametrize(
    ("line", "name", "said"),
    [
        ("left =", "left", "Words that are left."),
        ("place =", "place", "The place of the next word."),
        ("text =", "text", ""),
        ("long =", "long", "Spread over lines."),
        ("super()", "stop", "Stop at once."),
        ("super()", "words__payload", "What comes out of it, a word at a time."),
        ("super()", "level", "Bits of depth."),
        ("super()", "row_12", "A row."),
        ("super()", "row", ""),
        ("super()", "nothing", ""),
    ],
)
def test_signals(place, line, name, said):
    assert remark(place(line), name) == said


def test_ports_are_told_by_their_component(place):
    assert remark("", "stop", place("elaborate")) == "Stop at once."
    assert remark(place("left ="), "stop", place("elaborate")) == "Stop at once."
    assert remark(place("left ="), "other", place("elaborate")) == "Words that are left."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stop", "Stop at once."),
        ("words__valid", "What comes out of it, a word at a time."),
        ("north", "Comes from the north."),
        ("south", "Comes from the south."),
        ("east", ""),
    ],
)
def test_what_others_say_need_not_be_said_again(place, name, said):
    assert remark("", name, place("elaborate(self, other)")) == said


def test_what_is_not_there_has_no_remark(tmp_path):
    assert remark(f"{tmp_path}/gone.py:7", "signal") == ""
    assert remark("", "signal") == ""
