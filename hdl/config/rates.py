"""Cycles of a core: stages, latency, and how short a run may be before it waits for the drain."""

from lutcore.hdl.config.widths import Widths

#: The shortest scale group in common use (Q4_0, Q8_0, MXFP4); automatic ``result_columns`` keep
#: even one-bit groups of this size free of drain stalls.
SHORTEST_GROUP = 32


class Rates(Widths):
    """Widths, and the cycles that follow from shape and pipeline."""

    @property
    def drain_columns(self) -> int:
        """Columns per result beat: ``result_columns``, or the fewest that never stall.

        A run of S slices drains without a stall if its beats number at most S - 1 - pipeline.
        """
        if self.result_columns:
            return self.result_columns
        if self.passes > 1:  # their runs end one right after the other
            return self.columns
        slices = min(self.run_length, SHORTEST_GROUP) // self.depth
        beats = max(1, slices - 1 - self.pipeline)
        return next(
            c
            for c in range(1, self.columns + 1)
            if self.columns % c == 0 and self.columns // c <= beats
        )

    @property
    def zero_point_lanes(self) -> int:
        """Zero points of one result beat: one for each of its columns, or one for all."""
        return self.drain_columns if self.zero_points == "column" else 1

    @property
    def drain_beats(self) -> int:
        """Result beats of one run."""
        return self.columns // self.drain_columns

    @property
    def full_rate_slices(self) -> int:
        """Fewest slices of a run that never stalls: shorter runs wait for the drain."""
        return self.drain_beats + (1 + self.pipeline if self.table_storage == "mux" else 0)

    @property
    def write_cycles(self) -> int:
        """Cycles that writing the tables of a step into distributed RAM takes."""
        return self.k + self.entries + 1

    @property
    def tree_levels(self) -> int:
        """Levels of the tree that sums the lookups of a unit."""
        return (self.tables - 1).bit_length()

    @property
    def stages(self) -> int:
        """Cycles from a slice being taken to its sums entering the accumulators."""
        if self.table_storage == "mux":
            return 2 + self.pipeline
        return self.tree_levels + self.shifts_in_unit + (1 if self.table_storage == "lutram" else 2)

    @property
    def latency(self) -> int:
        """Cycles from the last slice of a run being taken to its first result beat being valid."""
        return 1 + self.stages + (self.zero_points != "external")
