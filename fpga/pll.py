"""Clocks that a board's oscillator cannot give: settings of the phase-locked loop of an ECP5."""

from collections.abc import Iterator
from dataclasses import dataclass

from hdl.errors import InputError

#: MHz that the phase detector and the oscillator of an EHXPLLL take (Lattice FPGA-TN-02200).
_DETECTOR, _OSCILLATOR = (3.125, 400.0), (400.0, 800.0)
_MOST = 128


@dataclass(frozen=True)
class EcpPll:
    """Dividers of an EHXPLLL with feedback from its only output.

    Attributes
    ----------
    source : float
        MHz in.
    reference, feedback, output : int
        Dividers: ``source * feedback / reference`` MHz leave, and the oscillator runs ``output``
        times as fast.
    """

    source: float
    reference: int
    feedback: int
    output: int

    @property
    def frequency(self) -> float:
        """MHz out."""
        return self.source * self.feedback / self.reference


def _settings(source: float) -> Iterator[EcpPll]:
    for reference in range(1, int(source / _DETECTOR[0]) + 1):
        for feedback in range(1, _MOST + 1):
            target = source * feedback / reference
            # The highest oscillation that is allowed is the steadiest.
            output = min(_MOST, int(_OSCILLATOR[1] // target)) if target else 0
            if output and target * output >= _OSCILLATOR[0]:
                yield EcpPll(source, reference, feedback, output)


def ecp5_pll(source: float, target: float) -> EcpPll:
    """The settings that make ``target`` MHz of ``source`` MHz, exactly.

    Raises
    ------
    InputError
        There are none.
    """
    found = sorted(_settings(source), key=lambda pll: abs(pll.frequency - target))
    if abs(found[0].frequency - target) > 1e-6:
        near = sorted({round(pll.frequency, 3) for pll in found[:8]})
        raise InputError(
            f"no clock of {target:g} MHz can be made of {source:g} MHz: choose one of "
            f"{', '.join(f'{value:g}' for value in near)}"
        )
    return found[0]
