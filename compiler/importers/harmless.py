"""What checkpoints say that changes nothing of what their network computes: one reviewed table.

Names are exact; ``{}`` is the number of a layer, or GGUF's architecture. All else is used, neutral,
or refused.
"""

import re

_TRAINING = "of training alone"
_RECORD = "a record of who made it, and how"
_SHOWN = "the tensors show which matrices are quantised"
_TEXT = "of making text, which the one who runs it decides"

#: Name of a key or tensor -> why it changes nothing.
HARMLESS: dict[str, str] = {
    "transformers_version": _RECORD,
    "_name_or_path": _RECORD,
    "general.file_type": "what most matrices are: each says its own type",
    "general.base_model.count": _RECORD,
    "general.dataset.count": _RECORD,
    "general.sampling.temp": _TEXT,
    "general.sampling.top_k": _TEXT,
    "general.sampling.top_p": _TEXT,
    "quantize.imatrix.file": _RECORD,
    "quantize.imatrix.dataset": _RECORD,
    "quantize.imatrix.entries_count": _RECORD,
    "quantize.imatrix.chunks_count": _RECORD,
    "auto_map": "code that no one runs for an architecture that is known",
    "initializer_range": _TRAINING,
    "attention_dropout": _TRAINING,
    "hidden_dropout_prob": _TRAINING,
    "attention_probs_dropout_prob": _TRAINING,
    "bos_token_id": _TEXT,
    "eos_token_id": _TEXT,
    "pad_token_id": "texts are run one by one, without padding",
    "id2label": "names of classes, for people",
    "label2id": "names of classes, for people",
    "classifier_dropout": _TRAINING,
    "tokenizer_class": "of the tokenizer: networks take tokens",
    "transformers.js_config": _RECORD,
    "split.tensors.count": "of files that were merged",
    "{}.classifier.output_labels": "names of classes, for people",
    "layers.{}.self_attn.rotary_emb.inv_freq": "made of config.json's rotary base anew",
    "quantization_config.damp_percent": "how rounding errors were damped",
    "quantization_config.damp_auto_increment": "how rounding errors were damped",
    "quantization_config.model_name_or_path": _RECORD,
    "quantization_config.model_file_base_name": "files are found by their index",
    "quantization_config.meta": _RECORD,
    "quantization_config.dataset": "only calibration has used it",
    "quantization_config.block_name_to_quantize": _SHOWN,
    "quantization_config.module_name_preceding_first_block": _SHOWN,
    "quantization_config.model_seqlen": "only calibration has used it",
    "quantization_config.modules_in_block_to_quantize": _SHOWN,
    "quantization_config.modules_to_not_convert": _SHOWN,
}


def reason(name: str) -> str | None:
    """Why a key or tensor changes nothing; None where it may."""
    if name in HARMLESS:
        return HARMLESS[name]
    if name.startswith("tokenizer."):
        return "of the tokenizer: networks take tokens"
    return HARMLESS.get(re.sub(r"\.\d+\.", ".{}.", name, count=1))
