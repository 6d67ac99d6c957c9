"""No file of a program or network ends in anything but what it holds, or one line."""

import random
import resource
from collections import Counter

import numpy as np
import pytest
from crafted_files import changed, paths, sealed, small_network, small_program, table_of

from lutcore.compiler.program.program import Program
from lutcore.errors import InputError, ToolError
from lutcore.gen.run.backends import open_backend
from lutcore.gen.run.network import Executor
from lutcore.gen.run.program import compare

#: What stands in place of each value of a table; the last one: nothing.
VALUES = (None, -1, -4096, 2**63, 1e308, True, "x", "line\nbreak", [], {}, [[]], changed)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Kind -> its class, a good file, and what is in it."""
    folder = tmp_path_factory.mktemp("good")
    made = {}
    for kind, content in (("program", small_program()), ("network", small_network())):
        content.save(folder / kind)
        made[kind] = type(content), (folder / kind).read_bytes(), facts(content)
    return made


def facts(content):
    """All that is in it, to be compared."""
    if isinstance(content, Program):
        parts = [np.array(content.words, object), content.memory]
        return str((content.config, content.address, content.output)), parts
    parts = [content.image, *content.graph.arrays.values()]
    parts += [part for tensor in content.tensors.values() for part in tensor.parts.values()]
    plain = (content.config, content.graph.to_dict(), content.facts, content.host, content.layers)
    return str((plain, content.memory, content.activations, content.outputs)), parts


def same(one, two):
    return one[0] == two[0] and all(map(np.array_equal, one[1], two[1]))


def run(content):
    if isinstance(content, Program):
        return compare(content, "isa").output
    with np.errstate(all="ignore"):
        return Executor(content, open_backend(content, "isa")).run(np.array([1, 2]))


class Judge:
    """Reads files of one kind, and counts how they end."""

    def __init__(self, files, kind, folder):
        self.read, self.raw, self.content = files[kind]
        self.kind, self.path, self.ends = kind, folder / "bad.lut", Counter()

    def __call__(self, raw: bytes, say: object = "") -> None:
        """It must be refused in one line, or can be used; the result is not judged."""
        self.path.write_bytes(raw)
        try:
            content = self.read.load(self.path)
            found = facts(content)
            self.ends["read"] += 1
            self.ends["same"] += same(found, self.content)
            run(content)
            self.ends["run"] += 1
        except (InputError, ToolError) as error:
            self.ends[type(error).__name__] += 1
            assert "\n" not in str(error) and len(str(error)) < 700, say
        except Exception as error:
            raise AssertionError(f"{say}: {type(error).__name__} {error}") from error


@pytest.fixture(params=["program", "network"])
def judge(request, files, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield Judge(files, request.param, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "KiB"


def test_whatever_byte_differs_it_is_noticed_or_does_not_matter(judge):
    """Bytes between sections do not matter; nothing else that is read is another thing."""
    raw, chance = judge.raw, random.Random(1)
    places = [*range(0, len(raw), 61), *range(64), *range(len(raw) - 64, len(raw))]
    for place in places:
        other = bytes([raw[place] ^ 1 << chance.randrange(8)])
        judge(raw[:place] + other + raw[place + 1 :], place)
    ends = judge.ends
    assert ends["read"] == ends["same"] < 50 and ends["InputError"] > 400
    assert ends["InputError"] + ends["read"] == len(places)


def test_a_part_of_a_file_is_no_file(judge):
    raw = judge.raw
    lengths = [*range(0, len(raw), 97), *range(130), *range(len(raw) - 130, len(raw))]
    for length in lengths:
        judge(raw[:length], length)
    judge(raw + bytes(64), "longer")
    assert judge.ends == {"InputError": len(lengths) + 1} and len(lengths) > 400


def test_absurd_tables_are_refused_whatever_their_digests_say(judge):
    """Each value, each list and each group of values is replaced; of large parts a sample."""
    table, chance = table_of(judge.raw), random.Random(2)
    tried = 0
    for path in paths(table):
        often = 2 if "graph" in path or "sections" in path else len(VALUES)
        for value in chance.sample(VALUES, often):
            judge(sealed(judge.raw, changed(table, path, value)), (path, value))
            tried += 1
    assert tried > 500 and judge.ends["InputError"] > 0.8 * tried
