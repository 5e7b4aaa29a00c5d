# SPDX-License-Identifier: GPL-2.0-only
"""The user's choices for runs: the same for every command, stored whole with each run."""

from typing import Self

from pydantic import Field, model_validator

from mmrace.building.kconfig import LENIENT
from mmrace.lazy import Lazy
from mmrace.toml import Table

delay = Lazy("mmrace.windows.delay")
CAP = 4  # default of `--at-most`, as a multiple of `--for`
DELAY_CONFIG = "kprobe-delay"  # fragment for steering by a kprobe module in the guest


class RunOptions(Table):
    """The user's choices; None or empty leaves the choice to the race or to the host.

    ``seconds``: minimum guest time in the race phase. ``at_most``: maximum of it (seconds), after
    which a run below its min counts is NOT_EXERCISED. ``machine``: name of a machine of
    qemu/machines. ``accel``: auto, tcg or kvm. ``boot``: kernel parameters to add. ``steer``: None
    steers where the workload has windows. ``steer_by``: director (QEMU plugin) or kprobe (module in
    the guest). ``ltp``: name of an LTP tree. ``configs``: fragments or whole configurations besides
    the races' own. ``sandbox``: whether builds are confined. ``seed``: of the workload; None: a new
    one for each run.
    """

    seconds: float = Field(default=60.0, gt=0)
    at_most: float | None = Field(default=None, gt=0)
    machine: str | None = None
    accel: str = Field(default="auto", pattern="^(auto|tcg|kvm)$")
    boot: tuple[str, ...] = ()
    steer: bool | None = None
    steer_by: str = Field(default="director", pattern="^(director|kprobe)$")
    ltp: str | None = None
    configs: tuple[str, ...] = ()
    sandbox: bool = True
    seed: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _cap_is_no_less(self) -> Self:
        if self.at_most is not None and self.at_most < self.seconds:
            raise ValueError(f"at_most is {self.at_most:g} s, less than seconds, {self.seconds:g}")
        return self

    @property
    def cap(self) -> float:
        """Seconds in the race phase after which a run ends, whatever its min counts."""
        return CAP * self.seconds if self.at_most is None else self.at_most

    @property
    def kernel_configs(self) -> tuple[str, ...]:
        """Configuration besides the races' own fragments: the user's, and what steering needs."""
        steering = (DELAY_CONFIG,) if self.steer_by == delay.BY else ()
        return tuple(dict.fromkeys((*self.configs, *steering)))

    def with_(self, **changes: object) -> "RunOptions":
        """Return these choices with some replaced; validated like the original."""
        return RunOptions.model_validate({**dict(self), **changes})

    def words(self) -> tuple[str, ...]:
        """Return the command line options that make the same choices, except for the seed."""
        words = ["--for", f"{self.seconds:g}s"]
        if self.at_most is not None:
            words += ["--at-most", f"{self.at_most:g}s"]
        for name, value in (("--machine", self.machine), ("--ltp", self.ltp)):
            words += [name, value] if value else []
        words += ["--accel", self.accel] if self.accel != "auto" else []
        for parameter in self.boot:
            words += ["--boot", parameter]
        if self.steer is not None:
            words.append("--steer" if self.steer else "--no-steer")
        words += ["--steer-by", self.steer_by] if self.steer_by != "director" else []
        for name in self.configs:
            words += ["--config-lenient"] if name == LENIENT else ["--config", name]
        return (*words, *([] if self.sandbox else ["--no-sandbox"]))
