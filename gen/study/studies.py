"""The studies by name."""

from lutcore.errors import InputError
from lutcore.gen.experiments.points import Study
from lutcore.gen.study import ablation, dp4, fpga, k_sweep, tile_shapes, weight_bits
from lutcore.gen.study.end_to_end import NAME as END_TO_END

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (k_sweep, dp4, weight_bits, tile_shapes, ablation, fpga)
}
#: Name that stands for all of them.
ALL = "all"


def chosen(name: str) -> list[Study]:
    """The study of that name, or all.

    Raises
    ------
    InputError
        There is none.
    """
    if name == ALL:
        return list(STUDIES.values())
    if name not in STUDIES:
        raise InputError(f"no study {name!r}; studies: {', '.join(STUDIES)}, {END_TO_END}, {ALL}")
    return [STUDIES[name]]
