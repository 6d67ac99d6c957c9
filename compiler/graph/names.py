"""Names of tensors by their role: in GGUF (llama.cpp's), and in Hugging Face checkpoints."""

_MLM = "cls.predictions"

#: Builder -> role -> (GGUF, Hugging Face); ``{}`` is the layer; "" where that world has none.
NAMES: dict[str, dict[str, tuple[str, str]]] = {
    "decoder": {
        "embed": ("token_embd", "embed_tokens"),
        "rope_factors": ("rope_freqs", ""),
        "rope_long": ("rope_factors_long", ""),
        "rope_short": ("rope_factors_short", ""),
        "attention_norm": ("blk.{}.attn_norm", "layers.{}.input_layernorm"),
        "q": ("blk.{}.attn_q", "layers.{}.self_attn.q_proj"),
        "k": ("blk.{}.attn_k", "layers.{}.self_attn.k_proj"),
        "v": ("blk.{}.attn_v", "layers.{}.self_attn.v_proj"),
        "q_norm": ("blk.{}.attn_q_norm", "layers.{}.self_attn.q_norm"),
        "k_norm": ("blk.{}.attn_k_norm", "layers.{}.self_attn.k_norm"),
        "attention_sub_norm": ("blk.{}.attn_sub_norm", "layers.{}.self_attn.attn_sub_norm"),
        "attention_output": ("blk.{}.attn_output", "layers.{}.self_attn.o_proj"),
        "ffn_norm": ("blk.{}.ffn_norm", "layers.{}.post_attention_layernorm"),
        "gate": ("blk.{}.ffn_gate", "layers.{}.mlp.gate_proj"),
        "up": ("blk.{}.ffn_up", "layers.{}.mlp.up_proj"),
        "ffn_sub_norm": ("blk.{}.ffn_sub_norm", "layers.{}.mlp.ffn_sub_norm"),
        "down": ("blk.{}.ffn_down", "layers.{}.mlp.down_proj"),
        "output_norm": ("output_norm", "norm"),
        "output": ("output", "lm_head"),
    },
    "bert": {
        "embed": ("token_embd", "embeddings.word_embeddings"),
        "positions": ("position_embd", "embeddings.position_embeddings"),
        "types": ("token_types", "embeddings.token_type_embeddings"),
        "embed_norm": ("token_embd_norm", "embeddings.LayerNorm"),
        "q": ("blk.{}.attn_q", "encoder.layer.{}.attention.self.query"),
        "k": ("blk.{}.attn_k", "encoder.layer.{}.attention.self.key"),
        "v": ("blk.{}.attn_v", "encoder.layer.{}.attention.self.value"),
        "attention_output": ("blk.{}.attn_output", "encoder.layer.{}.attention.output.dense"),
        "attention_norm": (
            "blk.{}.attn_output_norm",
            "encoder.layer.{}.attention.output.LayerNorm",
        ),
        "up": ("blk.{}.ffn_up", "encoder.layer.{}.intermediate.dense"),
        "down": ("blk.{}.ffn_down", "encoder.layer.{}.output.dense"),
        "ffn_norm": ("blk.{}.layer_output_norm", "encoder.layer.{}.output.LayerNorm"),
        "pooler": ("", "pooler.dense"),
        "classes": ("", "classifier"),
        "masked": ("", f"{_MLM}.transform.dense"),
        "masked_norm": ("", f"{_MLM}.transform.LayerNorm"),
        "output": ("", f"{_MLM}.decoder"),
        "output_bias": ("", _MLM),
        "pairs_of_sentences": ("", "cls.seq_relationship"),
    },
}
