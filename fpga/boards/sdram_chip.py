"""SDRAM chips: what their data sheets ask for, and what that is at a board's clock."""

import math
from dataclasses import dataclass

from lutcore.errors import InputError

#: Least clock cycles from one refresh to the next that leave time for words between them.
_LEAST_REFRESH = 32


@dataclass(frozen=True, kw_only=True)
class SdramChip:
    """A single-data-rate SDRAM; times in ns.

    Attributes
    ----------
    title : str
    bank_bits, row_bits, column_bits, data_bits : int
    power_up : float
        Of steady clock before the first command.
    activate_to_access : float
        tRCD.
    precharge : float
        tRP.
    activate_to_activate : float
        tRC, of a bank.
    activate_to_precharge : float
        tRAS.
    write_recovery : float
        tWR, from the last word written to a precharge.
    refresh : float
        tRFC.
    refresh_interval : float
        tREFI, most from one refresh to the next.
    mode_cycles : int
        tMRD, clock cycles.
    periods : tuple of (int, float)
        CAS latency in cycles -> shortest clock period that it allows.
    """

    title: str
    bank_bits: int
    row_bits: int
    column_bits: int
    data_bits: int
    power_up: float
    activate_to_access: float
    precharge: float
    activate_to_activate: float
    activate_to_precharge: float
    write_recovery: float
    refresh: float
    refresh_interval: float
    mode_cycles: int
    periods: tuple[tuple[int, float], ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return (self.data_bits // 8) << self.bank_bits + self.row_bits + self.column_bits


@dataclass(frozen=True, kw_only=True)
class SdramTiming:
    """A chip at a clock: times as cycles from a command to the next of its kind.

    ``refresh_period`` cycles after a refresh the next one is wanted; what then is still to be done
    is done within tREFI.
    """

    chip: SdramChip
    mhz: float
    latency: int
    power_up: int
    activate_to_access: int
    precharge: int
    activate_to_precharge: int
    write_recovery: int
    refresh: int
    refresh_period: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.chip.size

    @classmethod
    def at(cls, chip: SdramChip, mhz: float) -> "SdramTiming":
        """The chip at a clock of ``mhz`` MHz, with the lowest CAS latency that this allows.

        Raises
        ------
        InputError
            The clock is too fast for the chip, or too slow to refresh it.
        """
        period = 1000 / mhz
        latencies = [latency for latency, shortest in chip.periods if period >= shortest]
        if not latencies:
            most = 1000 / min(shortest for _, shortest in chip.periods)
            raise InputError(f"--freq {mhz:g}: {chip.title} takes at most {most:.4g} MHz")

        def cycles(time: float) -> int:
            # A clock's period in decimals may be a trifle too short.
            return max(1, math.ceil(time / period - 1e-9))

        precharge = cycles(chip.precharge)
        # tRC is kept by the time that a row stays open.
        open_row = max(
            cycles(chip.activate_to_precharge), cycles(chip.activate_to_activate) - precharge
        )
        recovery = cycles(chip.write_recovery)
        # A row that was just opened is closed before a refresh.
        late = cycles(chip.activate_to_access) + max(open_row, recovery) + precharge + 2
        refresh_period = math.floor(chip.refresh_interval / period) - late
        if refresh_period < _LEAST_REFRESH:
            raise InputError(
                f"--freq {mhz:g}: too slow to refresh {chip.title} every "
                f"{chip.refresh_interval / 1000:g} us"
            )
        return cls(
            chip=chip,
            mhz=mhz,
            latency=min(latencies),
            power_up=cycles(chip.power_up),
            activate_to_access=cycles(chip.activate_to_access),
            precharge=precharge,
            activate_to_precharge=open_row,
            write_recovery=recovery,
            refresh=cycles(chip.refresh),
            refresh_period=refresh_period,
        )


#: Memory of a core: bytes of block RAM, or SDRAM.
Memory = int | SdramTiming


def memory_bytes(memory: Memory) -> int:
    """Bytes of a memory."""
    return memory if isinstance(memory, int) else memory.size


#: 4 banks of 8192 rows of 512 columns of 16 bits. Boards carry chips of several makers: these are
#: the values of AS4C16M16SA-7 (data sheet, revision 3.0), with a margin for chips of grade 75.
SDRAM_16M_16 = SdramChip(
    title="SDRAM of 16M x 16",
    bank_bits=2,
    row_bits=13,
    column_bits=9,
    data_bits=16,
    power_up=200_000,
    activate_to_access=21,
    precharge=21,
    activate_to_activate=66,
    activate_to_precharge=45,
    write_recovery=15,
    refresh=66,
    refresh_interval=64e6 / 8192,
    mode_cycles=2,
    periods=((2, 10.0), (3, 7.5)),
)
