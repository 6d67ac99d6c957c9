"""What of a checkpoint is read: every key and tensor is used, harmless, neutral, or refused.

One mechanism for GGUF, config.json, what stands beside it, and tensors: who wants something asks
:class:`Reading` for it; what nobody asked for is judged by name at the end.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.compiler.importers.harmless import reason
from lutcore.compiler.importers.settings import USED, short
from lutcore.errors import InputError

#: Objects of config.json whose members count one by one.
_OBJECTS = ("rope_parameters", "rope_scaling")
_POOLING = "1_Pooling/config.json"
_MISSING = object()

#: Key -> values that say what networks do anyway; ``{}`` is GGUF's architecture. ``None`` is one of
#: every key.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "pretraining_tp": (1,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "position_embedding_type": ("absolute",),
    "chunk_size_feed_forward": (0,),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "output_past": (True,),
    "return_dict": (True,),
    "torchscript": (False,),
    "gradient_checkpointing": (False,),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "use_sliding_window": (False,),
    "num_experts": (0,),
    "_attn_implementation_autoset": (False, True),
    "_attn_implementation": ("eager", "sdpa", "flash_attention_2"),
    "unsloth_fixed": (True,),
    "directionality": ("bidi",),  # of BERT's first poolers, which nothing reads
    "pooler_fc_size": (768,),
    "pooler_num_attention_heads": (12,),
    "pooler_num_fc_layers": (3,),
    "pooler_size_per_head": (128,),
    "pooler_type": ("first_token_transform",),
    "rope_scaling.finetuned": (False, True),  # a record
    "rope_parameters.finetuned": (False, True),
    "1_Pooling/config.json: include_prompt": (True,),
    "use_bfloat16": (False,),
    "use_cache": (False, True),
    "dtype": ("float32", "float16", "bfloat16"),  # each tensor says its own
    "torch_dtype": ("float32", "float16", "bfloat16"),
    "general.quantization_version": (2,),
    "pruned_heads": ({},),
    "tie_encoder_decoder": (False,),
    "partial_rotary_factor": (1, 1.0),
    "rope_parameters.partial_rotary_factor": (1, 1.0),
    "rope_scaling": ({},),
    "rope_parameters": ({},),
    "num_local_experts": (0,),
    "use_mrope": (False,),
    "rope_interleaved": (False,),
    "is_llama_config": (True,),
    "split.no": (0,),
    "split.count": (0, 1),
    "{}.expert_count": (0,),
    "{}.expert_used_count": (0,),
    "{}.attention.sliding_window": (0,),
    "{}.attention.causal": (False,),  # of BERT; decoders read it
    "{}.rope.scaling.finetuned": (False, True),  # a record
    "{}.rope.scaling.yarn_log_multiplier": (0.0,),
    "{}.rope.scaling.yarn_ext_factor": (1.0,),
    "{}.rope.scaling.yarn_attn_factor": (1.0,),
    "{}.rope.scaling.yarn_beta_fast": (32.0,),
    "{}.rope.scaling.yarn_beta_slow": (1.0,),
    "{}.tensor_data_layout": ("Meta AI original pth",),
}

#: Keys of which null says something.
_NULL_COUNTS = ("is_causal",)
#: End of a key -> what it stands for, where its name does not say it to everyone.
_MEANINGS = {
    "expert_count": "a mixture of experts",
    "num_local_experts": "a mixture of experts",
    "num_experts": "a mixture of experts",
    "hadamard": "weights of rotated activations",
}


@dataclass
class Account:
    """What a checkpoint says, by what becomes of it.

    Attributes
    ----------
    used : list of str
        Keys and tensors that make the network what it is.
    harmless : dict of str to str
        Those that change nothing, and why.
    unknown : dict of str to str
        Those that are not understood: what they say, shortened.
    """

    used: list[str] = field(default_factory=list)
    harmless: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def refuse_unknown(self, where: str, only: Container[str] | None = None) -> None:
        """See that nothing is left, or none of ``only``.

        Raises
        ------
        InputError
            Something is, by name.
        """
        left = [f"{n} {what}" for n, what in self.unknown.items() if only is None or n in only]
        if not left:
            return
        listed, more = "; ".join(left[:3]), f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise InputError(
            f"{where}: not understood, so that the network would be another one: {listed}{more}: "
            "take a checkpoint without it, or say with --ignore NAME that it changes nothing"
        )


class Reading:
    """A checkpoint of which is noted what was asked for.

    Parameters
    ----------
    checkpoint : Checkpoint
    ignored : sequence of str
        Keys and tensors that somebody says change nothing.

    Attributes
    ----------
    where : str
        The path, as errors begin.
    hugging_face : bool
        Whether the metadata is that of config.json, else GGUF's.
    said : dict
        Key -> value; members of objects, and keys of files beside config.json, by names of their
        own.
    tensors : set of str
    """

    def __init__(self, checkpoint: Checkpoint, ignored: Sequence[str] = ()):
        self.ignored = tuple(ignored)
        self.checkpoint, self.where = checkpoint, str(checkpoint.path)
        self.hugging_face = "general.architecture" not in checkpoint.metadata
        self.said = dict(_said(checkpoint))
        self.tensors = set(checkpoint.names())
        self._spare: dict[str, str] = {}
        self._used: set[str] = {"general.alignment"}  # the reader of the file has

    def take(self, key: str, default: Any = None) -> Any:
        """What a key says; ``default`` where it is not there. None is what JSON's null is."""
        if key not in self.said:
            return default
        self._used.add(key)
        return self.said[key]

    def first(self, keys: Iterable[str], default: Any = None) -> tuple[str, Any]:
        """The first of the keys that says something, and what; all of them count as read."""
        found = [(key, value) for key in keys if (value := self.take(key)) is not None]
        for key, value in found[1:]:
            if value != found[0][1]:
                self.refuse(f"{found[0][0]} = {short(found[0][1])}, but {key} = {short(value)}")
        return found[0] if found else ("", default)

    def tensor(self, name: str) -> bool:
        """Whether there is such a tensor, which then is used."""
        there = name in self.tensors
        if there:
            self._used.add(name)
        return there

    def spare(self, name: str, why: str) -> None:
        """Note a tensor that this network has for nothing, if it is there."""
        if name in self.tensors:
            self._spare[name] = why

    def refuse(self, what: str) -> NoReturn:
        """Raise InputError with the place."""
        raise InputError(f"{self.where}: {what}")

    def refuse_unknown_keys(self) -> None:
        """Refuse keys that are not understood, whatever has become of tensors."""
        self.account().refuse_unknown(self.where, self.said)

    def account(self) -> Account:
        """What becomes of all that the checkpoint says.

        Raises
        ------
        InputError
            Settings of a quantisation are not understood.
        """
        made = Account()
        settings = self.checkpoint.judge_settings()
        for key, what in settings.items():
            name = f"quantization_config.{key}"
            if what == USED:
                made.used.append(name)
            else:
                made.harmless[name] = what
        for key, value in self.said.items():
            self._judge(made, key, value)
        for name in self.checkpoint.names():
            self._judge(made, name, _MISSING)
        for name in self.ignored:
            if name not in made.unknown:
                self.refuse(f"{name!r} is to be ignored, but is not among what is not understood")
            made.harmless[name] = f"said {made.unknown.pop(name)}".strip() + ": ignored as asked"
        return made

    def _judge(self, made: Account, name: str, value: Any) -> None:
        if name in self._used:
            made.used.append(name)
            return
        bare = self._bare(name, value is _MISSING)
        why = self._spare.get(name) or reason(bare)
        if why is None and _is_text(name, value):
            why = "text for people"
        if why is None and value is not _MISSING and _neutral(bare, value):
            why = "says what networks do anyway"
        if why is not None:
            made.harmless[name] = why
        elif value is _MISSING:
            made.unknown[name] = "(tensor)"
        else:
            meaning = _MEANINGS.get(name.rpartition(".")[2], "")
            made.unknown[name] = f"= {short(value)}" + (f" ({meaning})" if meaning else "")

    def _bare(self, name: str, is_tensor: bool) -> str:
        """A name without what differs from checkpoint to checkpoint."""
        if is_tensor:
            return name.removeprefix("bert.").removeprefix("model.")
        stem = f"{self.said.get('general.architecture')}."
        return "{}." + name.removeprefix(stem) if name.startswith(stem) else name


def _neutral(key: str, value: Any) -> bool:
    """Whether a value of a key is that of a network without it; 1 is not True here."""
    same = (value == it and type(value) is type(it) for it in NEUTRAL.get(key, ()))
    return (value is None and key not in _NULL_COUNTS) or any(same)


def _is_text(key: str, value: Any) -> bool:
    """Whether it is GGUF's text for people."""
    texts = value if isinstance(value, list) else [value]
    return key.startswith("general.") and all(isinstance(text, str) for text in texts)


def _said(checkpoint: Checkpoint) -> Iterator[tuple[str, Any]]:
    for key, value in checkpoint.metadata.items():
        if key == "quantization_config":
            continue  # judged by who reads it: Checkpoint.judge_settings
        if key in _OBJECTS and isinstance(value, dict) and value:
            yield from ((f"{key}.{member}", inner) for member, inner in value.items())
        else:
            yield key, value
    for name, content in checkpoint.sidecars.items():
        if name == _POOLING and isinstance(content, dict):
            yield from ((f"{name}: {member}", inner) for member, inner in content.items())
        elif name == "modules.json":
            yield name, content
