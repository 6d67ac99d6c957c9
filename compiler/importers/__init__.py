"""Readers of checkpoints: each decodes the tensors of one container into quantised tensors."""
