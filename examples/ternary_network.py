"""The byte-level ternary language model in PyTorch, as it is trained (docs, language-model).

Every linear layer sees what the hardware computes: weights in {-1, 0, 1} times one float16 scale a
matrix, activations in INT8 with one scale a token. Gradients pass the two roundings unchanged
(straight-through estimator), so that the float weights behind them can be trained.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lutcore.compiler.importers.ternary_model import VOCABULARY, ModelShape


def ternarise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes in {-1, 0, 1}, [N, K], and the matrix's scale: its mean magnitude, as float16."""
    scale = weight.abs().mean().clamp(min=1e-5).half().float()
    return (weight / scale).round().clamp(-1, 1), scale


class BitLinear(nn.Module):
    """A linear layer of ternary weights and INT8 activations, ``[..., K] -> [..., N]``."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0):
        super().__init__()
        deviation = gain / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Integer products, exact also in bfloat16, then the two scales."""
        with torch.no_grad():
            codes, scale = ternarise(self.weight)
            step = x.float().abs().amax(-1, keepdim=True).clamp(min=1e-5) / 127
        weight = self.weight / scale
        weight = weight + (codes - weight).detach()
        x = x.float() / step
        x = x + (x.round() - x).detach()
        return functional.linear(x, weight).float() * (step * scale)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary embedding of [batch, head, token, size]: element i turns with element i + size / 2."""
    low, high = x.chunk(2, -1)
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], -1)


class Block(nn.Module):
    """Attention and a gated feed-forward network, each normalised before and inside (BitNet)."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        width, hidden = shape.width, shape.hidden
        small = 1 / math.sqrt(2 * shape.layers)  # keeps the residual stream's size at the start
        self.heads = shape.heads
        self.attn_norm = nn.RMSNorm(width, shape.epsilon)
        self.attn_q = BitLinear(width, width)
        self.attn_k = BitLinear(width, width)
        self.attn_v = BitLinear(width, width)
        self.attn_sub_norm = nn.RMSNorm(width, shape.epsilon)
        self.attn_output = BitLinear(width, width, small)
        self.ffn_norm = nn.RMSNorm(width, shape.epsilon)
        self.ffn_gate = BitLinear(width, hidden)
        self.ffn_up = BitLinear(width, hidden)
        self.ffn_sub_norm = nn.RMSNorm(hidden, shape.epsilon)
        self.ffn_down = BitLinear(hidden, width, small)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """The residual stream [batch, token, width], one block on."""
        y = self.attn_norm(x)
        q, k, v = (
            linear(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.attn_q, self.attn_k, self.attn_v)
        )
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_output(self.attn_sub_norm(y.transpose(1, 2).flatten(2)))
        y = self.ffn_norm(x)
        y = functional.silu(self.ffn_gate(y)) * self.ffn_up(y)
        return x + self.ffn_down(self.ffn_sub_norm(y))


class TernaryModel(nn.Module):
    """Bytes [batch, token] -> logits of the next byte [batch, token, 256]."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(VOCABULARY, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.output = BitLinear(shape.width, VOCABULARY, 0.5)
        half = shape.width // shape.heads // 2
        rates = shape.rope_base ** (-torch.arange(half) / half)
        angles = torch.arange(shape.context)[:, None] * rates
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits in float32."""
        length = tokens.shape[1]
        x = self.token_embd(tokens)
        for block in self.blk:
            x = block(x, self.cosine[:length], self.sine[:length])
        return self.output(self.output_norm(x))
