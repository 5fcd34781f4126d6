#!/usr/bin/python3
"""Checks that dynamic shared memory begins where the decode kernels take it to begin, on every
architecture of a release: kTableBase of qtip_cuda_decode.cuh and kDynamicSharedBase of ptx/shared_vector.h
are constants in their loads, and a kernel whose memory begins elsewhere ends in a trap.

usage: check_shared_base.py NVCC ROOT      (needs readelf)

The assembler makes a section .nv.shared.KERNEL of the size of what lies before dynamic shared memory.
Exit status: 0 where all agree, 1 otherwise.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from check_cuda_architectures import release_list

# The base as a size that readelf tells: an array in constant memory.
PROBE = """
#include "kernels/cuda/ptx/shared_vector.h"
#include "kernels/formats/qtip/qtip_cuda_decode.cuh"
static_assert(qtipd::kTableBase == qtipd::ptx::kDynamicSharedBase);
__constant__ char expected[qtipd::kTableBase + 1];
__global__ void Probe(unsigned* out) {
  extern __shared__ __align__(128) unsigned shared[];
  out[threadIdx.x] = qtipd::ptx::SharedAddress(shared) + expected[threadIdx.x];
}
"""
SECTION = r"\]\s+{}\S*\s+\S+\s+[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)"


def size_of(section, headers):
    return int(re.search(SECTION.format(re.escape(section)), headers).group(1), 16)


def bases(nvcc, root, architecture, folder):
    """Bytes before dynamic shared memory, and kTableBase."""
    cubin = pathlib.Path(folder) / "probe.cubin"
    source = pathlib.Path(folder) / "probe.cu"
    source.write_text(PROBE, encoding="utf-8")
    subprocess.run([nvcc, "-std=c++20", f"-I{root}", f"-arch=sm_{architecture}", "-cubin", "-o", cubin,
                    source], check=True)
    headers = subprocess.run(["readelf", "-SW", cubin], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, check=True).stdout
    return size_of(".nv.shared._Z5Probe", headers), size_of(".nv.constant3", headers) - 1


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    nvcc, root = sys.argv[1], pathlib.Path(sys.argv[2])
    architectures = [name[:-5] for name in release_list(root) if name.endswith("-real")]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="qtipd-shared-") as folder:
        for architecture in architectures:
            found, expected = bases(nvcc, root, architecture, folder)
            print(f"sm_{architecture}: dynamic shared memory begins at {found}, kTableBase is {expected}")
            wrong += found != expected
    print(f"{len(architectures)} architectures, {wrong} violations")
    return 1 if wrong or not architectures else 0


if __name__ == "__main__":
    sys.exit(main())
