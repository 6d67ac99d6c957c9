"""Clocks that a board's oscillator cannot give: settings of the FPGAs' phase-locked loops."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from amaranth.hdl import Const, Instance, Signal

from lutcore.errors import InputError


class Pll(Protocol):
    """A loop with its settings."""

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """The cell between the oscillator, the clock, and the sign that this is steady."""
        ...


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

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """An EHXPLLL."""
        return Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.source:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.frequency:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=self.reference,
            p_CLKFB_DIV=self.feedback,
            p_CLKOP_DIV=self.output,
            p_CLKOP_CPHASE=self.output - 1,
            p_CLKOP_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=source,
            i_CLKFB=clock,
            i_RST=Const(0, 1),
            i_STDBY=Const(0, 1),
            i_ENCLKOP=Const(0, 1),
            o_CLKOP=clock,
            o_LOCK=locked,
        )


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


#: MHz of the oscillator of an MMCM of the 7 series, slowest speed grade, and steps of its dividers.
_MMCM, _EIGHTHS = (600, 1200), 8


@dataclass(frozen=True)
class Mmcm:
    """Dividers of an MMCME2_BASE: ``source * feedback / output`` MHz leave."""

    source: float
    feedback: float
    output: float

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """An MMCME2_BASE."""
        loop = Signal()
        return Instance(
            "MMCME2_BASE",
            p_CLKIN1_PERIOD=1000 / self.source,
            p_CLKFBOUT_MULT_F=self.feedback,
            p_CLKOUT0_DIVIDE_F=self.output,
            i_CLKIN1=source,
            i_CLKFBIN=loop,
            o_CLKFBOUT=loop,
            o_CLKOUT0=clock,
            o_LOCKED=locked,
            i_PWRDWN=Const(0, 1),
            i_RST=Const(0, 1),
        )


def mmcm(source: float, target: float) -> Mmcm:
    """The settings that make ``target`` MHz of ``source`` MHz, exactly.

    Raises
    ------
    InputError
        There are none.
    """
    for feedback in range(2, 65):
        output = source * feedback / target
        exact = (output * _EIGHTHS).is_integer() and 1 <= output <= 128
        if exact and _MMCM[0] <= source * feedback <= _MMCM[1]:
            return Mmcm(source, float(feedback), output)
    raise InputError(
        f"no clock of {target:g} MHz can be made of {source:g} MHz: try a whole number"
    )
