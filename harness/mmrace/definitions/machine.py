# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU machine as people write it in ``qemu/machines/*.toml``."""

from pydantic import Field

from mmrace.data import data_dir
from mmrace.errors import UserError
from mmrace.toml import Table, read_toml


class Node(Table):
    """A NUMA node: one socket and its memory."""

    cpus: int = Field(default=1, ge=0, le=64, description="vCPUs of the node.")
    memory: int = Field(ge=64, le=65536, description="Memory (MiB).")
    hugepages: int = Field(default=0, ge=0, description="Huge pages of 2 MiB in the node's pool.")


class Machine(Table):
    """A machine that QEMU makes."""

    name: str = Field(description="Also the file's name.")
    summary: str = Field(description="The machine in one line.")
    node: tuple[Node, ...] = Field(min_length=1)
    cpu: str = Field(default="max", description="QEMU's CPU model.")
    boot: tuple[str, ...] = Field(default=(), description="Kernel parameters.")
    devices: tuple[str, ...] = Field(default=(), description="More arguments of QEMU.")

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
        raise UserError(f"no machine named {name!r}; known: {known}")
    return read_toml(path, Machine)
