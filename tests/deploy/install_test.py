#!/usr/bin/python3
"""What `cmake --install` lays down works in another folder, without the build and without the
distribution's libraries but the C library.

usage: install_test.py CMAKE BUILD_FOLDER
"""

import pathlib
import re
import shutil
import sys
import tempfile

from deploy_test import Daemon, clean_environment, need, run

# May be taken from the host: the C library, and NVIDIA's driver and toolkit.
HOST = re.compile(r"^(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|nsl|anl)\.so.*"
                  r"|lib(cuda|cublas|cublasLt|cudart|nvidia-ml)\.so.*)$")


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def check_libraries(binaries):
    """Every library that a file needs lies beside it, and it looks for it there first."""
    elf_files = [path for path in binaries.iterdir() if is_elf(path)]
    names = {path.name for path in elf_files}
    for path in elf_files:
        dynamic = run("readelf", "-d", path)
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
        missing = [name for name in needed if name not in names and not HOST.match(name)]
        assert not missing, f"{path.name} needs {missing}"
        run_path = re.search(r"\(RUNPATH\).*\[(.*)\]", dynamic)
        assert run_path and run_path.group(1).split(":")[0] == "$ORIGIN", f"{path.name}: {run_path}"
        assert str(pathlib.Path.cwd()) not in dynamic, f"{path.name} names the build folder"
    return len(elf_files)


def main():
    cmake, build = sys.argv[1:]
    need("patchelf", "patchelf")
    need("readelf", "binutils")
    with tempfile.TemporaryDirectory(prefix="qtipd install ") as folder:  # a blank in the path, too
        first = pathlib.Path(folder) / "first"
        run(cmake, "--install", build, "--prefix", first, "--strip")
        moved = pathlib.Path(folder) / "moved"
        shutil.move(first, moved)
        count = check_libraries(moved / "bin")
        for name in ("LICENSE", "proto/qtipd/v1/qtip_service.proto", "deploy/systemd/qtipd.service"):
            assert (moved / name).is_file(), name
        assert len(list((moved / "licenses").iterdir())) > 5 or not shutil.which("dpkg-query")
        with Daemon(moved / "bin", clean_environment()) as daemon:
            assert "cpu" in daemon.qtipctl("-o", "csv", "info")
            # The helper lies beside the daemon, is found, and answers.
            assert "task_clock" in daemon.qtipctl("-o", "csv", "profile", "metrics")
        size = sum(path.stat().st_size for path in moved.rglob("*") if path.is_file())
        print(f"{count} ELF files, {size / 1e6:.0f} MB installed")


if __name__ == "__main__":
    main()
