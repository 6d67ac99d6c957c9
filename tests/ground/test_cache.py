"""Keys of cached results follow every source that results depend on, by changing each of them."""

from pathlib import Path

import pytest
from sweeps import swept

from lutcore import cache

#: What computes cached results: the modules that callers give to the cache.
FLOWS = {
    "lutcore.gen.asic.mapping": {
        "gen/asic/compressor.py",
        "gen/asic/delays.py",
        "gen/tools/opensta.py",
    },
    "lutcore.gen.luts.synth": {
        "gen/luts/adders.py",
        "hdl/fabric/carry_chains.py",
        "gen/tools/yosys.py",
    },
    "lutcore.gen.energy.energy": {
        "gen/energy/activity.py",
        "verif/sim/job.py",
        "compiler/weights/pack.py",
        "hdl/tile/drain.py",
    },
    "lutcore.gen.experiments.measure": {
        "gen/asic/synth.py",
        "gen/asic/liberty.py",
        "hdl/tile/tile.py",
    },
    "lutcore.gen.experiments.dp4": {
        "gen/asic/closing.py",
        "hdl/baselines/discrete.py",
        "verif/golden/dp4.py",
    },
    "lutcore.gen.performance.workload": {
        "compiler/schedule/cycles.py",
        "compiler/schedule/search.py",
    },
    "lutcore.fpga.flow.netlist": {"gen/luts/families.py", "fpga/boards/boards.py"},
    "lutcore.fpga.flow.place": {"fpga/flow/tools.py"},
    "lutcore.verif.sim.simulator": {"cache.py", "errors.py"},
    "lutcore.verif.sim.native": {"verif/sim/simulator.py"},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project in place of ours: file -> text; the digest is taken anew each time."""
    texts = {
        "__init__.py": "from lutcore.aside import nothing",
        "a/__init__.py": "",
        "a/first.py": "import numpy\nfrom lutcore.a import second\nfrom lutcore.b.third import f\n",
        "a/second.py": "def g():\n    import lutcore.b.lazy\n",
        "b/__init__.py": "",
        "b/third.py": "from lutcore.a.first import h  # a circle\n",
        "b/lazy.py": "",
        "b/other.py": "",
        "aside.py": "nothing = 0\n",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(cache, "_ROOT", tmp_path)
    return tmp_path


def digest(*modules: str) -> str:
    cache.sources_digest.cache_clear()
    try:
        return cache.sources_digest(*modules)
    finally:
        cache.sources_digest.cache_clear()


def test_every_source_in_the_closure_counts_and_no_other(project):
    before = digest("lutcore.a.first")
    changed = set()
    for path in sorted(project.rglob("*.py")):
        sound = path.read_text()
        path.write_text(sound + "# touched\n")
        if digest("lutcore.a.first") != before:
            changed.add(str(path.relative_to(project)))
        path.write_text(sound)
    assert changed == {
        *("a/__init__.py", "a/first.py", "a/second.py"),
        *("b/__init__.py", "b/third.py", "b/lazy.py"),
    }
    assert digest("lutcore.a.first") == before


def test_a_moved_source_counts(project):
    before = digest("lutcore.a.first")
    (project / "b/lazy").mkdir()
    (project / "b/lazy.py").rename(project / "b/lazy/__init__.py")
    assert digest("lutcore.a.first") != before


@pytest.mark.parametrize("missing", ["a/first.py", "a/second.py", "b/third.py", "b/lazy.py"])
def test_a_missing_source_is_an_error(project, missing):
    (project / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"no source of lutcore\.[ab]\."):
        digest("lutcore.a.first")


def test_relative_imports_are_refused(project):
    (project / "b/lazy.py").write_text("from . import other\n")
    with pytest.raises(ValueError, match="relative import in line 1"):
        digest("lutcore.a.first")


@pytest.mark.parametrize("flow", swept(FLOWS, 2))
def test_real_flows_follow_what_they_import(flow, monkeypatch):
    """Touching any one file of the closure changes the key; a file that is gone is an error."""
    read: set[Path] = set()
    sound = Path.read_bytes

    def note(path: Path) -> bytes:
        read.add(path)
        return sound(path)

    monkeypatch.setattr(Path, "read_bytes", note)
    before = digest(flow)
    names = {str(path.relative_to(cache._ROOT)) for path in read}
    assert names >= FLOWS[flow]
    assert not any(name.startswith(("cli/", "tests/")) for name in names)
    monkeypatch.setattr(
        cache, "_imports", lambda text, sound=cache._imports: sound(text.rstrip(b"#"))
    )
    for touched in sorted(read):
        monkeypatch.setattr(
            Path, "read_bytes", lambda path, it=touched: sound(path) + b"#" * (path == it)
        )
        assert digest(flow) != before, touched
    find = cache._find
    gone = cache._ROOT / sorted(FLOWS[flow])[0]
    monkeypatch.setattr(
        cache, "_find", lambda module: None if find(module) == gone else find(module)
    )
    with pytest.raises(FileNotFoundError, match=gone.stem):
        digest(flow)


def test_borders_of_texts_count():
    assert cache.digest("ab", "c") != cache.digest("a", "bc") != cache.digest("abc")
    assert cache.digest("ab") == cache.digest(b"ab")
    assert cache.key("lutcore.errors", "a") != cache.key("lutcore.files", "a")


def test_what_is_damaged_is_as_if_it_were_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    entry = cache.entry("kind", "name")
    assert entry.parent.parent == cache.folder() == tmp_path
    assert cache.load(entry) is None
    cache.store(entry, {"a": [1, 2.5, None]})
    assert cache.load(entry) == {"a": [1, 2.5, None]}
    whole = entry.read_bytes()
    for size in range(len(whole)):
        entry.write_bytes(whole[:size])
        assert cache.load(entry) is None
