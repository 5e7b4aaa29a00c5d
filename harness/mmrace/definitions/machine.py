# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU machine as people write it in ``qemu/machines/*.toml``."""

from pydantic import Field

from mmrace.data import data_dir
from mmrace.errors import UserError
from mmrace.toml import Table, read_toml


class Node(Table):
    """A NUMA node: one socket, its memory (MiB) and its 2 MiB huge pages."""

    cpus: int = Field(default=1, ge=0, le=64)
    memory: int = Field(ge=64, le=65536)
    hugepages: int = Field(default=0, ge=0)


class Machine(Table):
    """What QEMU is asked for; ``boot`` are kernel parameters, ``devices`` QEMU arguments."""

    name: str
    summary: str
    node: tuple[Node, ...] = Field(min_length=1)
    cpu: str = "max"
    boot: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def cpus(self) -> int:
        """All vCPUs of the machine."""
        return sum(node.cpus for node in self.node)

    @property
    def memory(self) -> int:
        """All memory of the machine, in MiB."""
        return sum(node.memory for node in self.node)


def load_machine(name: str) -> Machine:
    """Read a machine by name; UserError when there is none of that name."""
    folder = data_dir("qemu") / "machines"
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise UserError(f"no machine {name!r}; there are: {known}")
    return read_toml(path, Machine)
