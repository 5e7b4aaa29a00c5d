# SPDX-License-Identifier: GPL-2.0-only
"""An archive of Debian's kind with signed suites, and a host whose apt knows some of them."""

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from fakes.kerneltree import make_kernel, pack, write_kernel

LABELS = {"debian": "Debian", "security": "Debian-Security"}


@dataclass
class Archive:
    """``apt_config`` is for APT_CONFIG; ``keyring`` is what Debian's would be."""

    top: Path
    suites: dict[str, list[Path]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.top / "gnupg").mkdir(parents=True, mode=0o700)
        self._gpg("--quick-gen-key", "--passphrase", "", "tests@example.org", "ed25519", "sign")
        self._gpg("--output", str(self.keyring), "--export")
        for name in (
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "etc/trusted.gpg.d",
        ):
            (self.top / name).mkdir(parents=True)
        for name in ("lists/partial", "cache/archives/partial"):
            (self.top / "var" / name).mkdir(parents=True)
        (self.top / "var/status").write_text("")
        self.apt_config.write_text(
            f'Dir::Etc "{self.top}/etc";\nDir::State::Lists "{self.top}/var/lists";\n'
            f'Dir::State::status "{self.top}/var/status";\nDir::Cache "{self.top}/var/cache";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\n'
        )

    @property
    def keyring(self) -> Path:
        return self.top / "keyring.gpg"

    @property
    def apt_config(self) -> Path:
        return self.top / "apt.conf"

    @property
    def mirror(self) -> str:
        return f"file:{self.top}/mirror"

    def _gpg(self, *words: str) -> None:
        argv = ["gpg", "--homedir", str(self.top / "gnupg"), "--batch", "--yes", "--quiet", *words]
        subprocess.run(argv, check=True, capture_output=True)

    def add(self, suite: str, codename: str, kernel: str, version: str) -> None:
        """Put a linux-source package into a suite of both names; ``kernel`` is like 7.3.4."""
        name = f"linux-source-{'.'.join(kernel.split('.')[:2])}"
        tree = self.top / "deb" / f"{name}_{version}"
        source = make_kernel(self.top / "kernels" / version)
        write_kernel(source, kernel)
        (tree / "usr/src").mkdir(parents=True)
        pack(source, tree / "usr/src" / f"{name}.tar.xz")
        (tree / "DEBIAN").mkdir()
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@e.org>\n"
        )
        (tree / "DEBIAN/control").write_text(f"{control}Description: a kernel\n")
        archive = self.top / "mirror" / ("security" if "security" in suite else "debian")
        (archive / "pool").mkdir(parents=True, exist_ok=True)
        deb = archive / "pool" / f"{name}_{version}_all.deb"
        subprocess.run(["/usr/bin/dpkg-deb", "--build", tree, deb], check=True, capture_output=True)
        self.suites.setdefault(suite, []).append(deb)
        for each in {suite, codename}:
            self._publish(archive, each, codename, self.suites[suite])

    def _publish(self, archive: Path, suite: str, codename: str, debs: list[Path]) -> None:
        folder = archive / "dists" / suite
        binary = folder / "main/binary-amd64"
        binary.mkdir(parents=True, exist_ok=True)
        stanzas = []
        for deb in debs:
            fields = subprocess.run(
                ["/usr/bin/dpkg-deb", "-f", deb], check=True, capture_output=True, text=True
            )
            raw = deb.read_bytes()
            stanzas.append(
                f"{fields.stdout}Filename: pool/{deb.name}\nSize: {len(raw)}\n"
                f"SHA256: {hashlib.sha256(raw).hexdigest()}\n"
            )
        packages = "\n".join(stanzas).encode()
        (binary / "Packages").write_bytes(packages)
        digest = hashlib.sha256(packages).hexdigest()
        (folder / "Release").write_text(
            f"Origin: Debian\nLabel: {LABELS[archive.name]}\nSuite: {suite}\nCodename: {codename}\n"
            "Architectures: all amd64\nComponents: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"
            f"SHA256:\n {digest} {len(packages)} main/binary-amd64/Packages\n"
        )
        self._gpg("--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))

    def host(self, *suites: str, fetch: bool = True) -> None:
        """Give the host these suites (``security/NAME`` for that archive), in either format."""
        signed = f"signed-by={self.keyring}"
        lines, stanzas = [], []
        for number, name in enumerate(suites):
            archive, _, suite = name.rpartition("/")
            uri = f"{self.mirror}/{archive or 'debian'}"
            if number % 2:
                lines.append(f"deb [{signed}] {uri} {suite} main\n")
            else:
                stanzas.append(
                    f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n"
                    f"Signed-By: {self.keyring}\n"
                )
        (self.top / "etc/sources.list").write_text("".join(lines))
        (self.top / "etc/sources.list.d/host.sources").write_text("\n".join(stanzas))
        if fetch:
            env = {**os.environ, "APT_CONFIG": str(self.apt_config)}
            subprocess.run(
                ["/usr/bin/apt-get", "-qq", "update"], check=True, env=env, capture_output=True
            )

    def host_state(self) -> dict[str, int]:
        """Times of change of all that belongs to the host's apt."""
        folders = (self.top / "etc", self.top / "var")
        return {str(p): p.lstat().st_mtime_ns for top in folders for p in sorted(top.rglob("*"))}
