"""The script that measures packing of a large checkpoint, on a small one."""

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.gen.manual import checkpoint_memory
from lutcore.gen.manual.checkpoint_memory import pack_all, write_sparse


def test_sparse_checkpoints_have_the_shapes_and_are_packed(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_memory, "_WIDTH", 256)
    monkeypatch.setattr(checkpoint_memory, "_LAYER", {"attn_q": (256, 256), "ffn_down": (64, 512)})
    path = tmp_path / "t.gguf"
    weights = write_sparse(path, 2, 96, "Q4_K")
    assert weights == 2 * 96 * 256 + 2 * (256 * 256 + 64 * 512)
    checkpoint = open_checkpoint(path)
    assert len(checkpoint.names()) == 6
    assert checkpoint.shape("blk.1.ffn_down.weight") == (64, 512)
    for name in checkpoint.names():
        values = checkpoint.tensor(name).dequantise()
        assert values[0].any() and not values[1:].any()
    figures = pack_all(2, 96, "Q4_K")
    assert figures["packed (GiB)"] * 2**30 > weights / 2 and figures["peak memory (GiB)"] > 0
