#!/usr/bin/python3
"""Counts the instructions of the fused kernels' loops in a binary.

usage: count_instructions.py BINARY   (needs cuobjdump of the CUDA Toolkit)

Prints, for every shipped FusedResident, FusedLooping, FusedWide and FusedWideResident in BINARY
(those of 32 replicas of the table, which compute capability 9.0 runs), the instructions and the
shared-memory loads of its largest innermost loop and, from the matrix instructions in it, how many
of them there are for a weight: that is where the constants of qtip_cuda_fused.cc come from.
A warp's HMMA.16816 takes 16 x 16 weights.
"""

import re
import subprocess
import sys

KERNEL = re.compile(r"Function : (\S*(Fused(?:Resident|Looping|WideResident|Wide))\S*)")
LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(.*?);")
JUMP = re.compile(r"\bBRA\S*\s+(?:\S+,\s*)?`?\(?(?:\.L_x_\d+|0x([0-9a-f]+))")
FEW = re.compile(r"(?:ILi|ELi)\d+ELi\d+ELi\d+ELi16EN")  # the fourth argument: replicas
ARGUMENTS = re.compile(r"ILi(\d+)ELi(\d+)ELi(\d+)E")


def loops(instructions):
    """Ranges of addresses [target, jump] of backward jumps, innermost ones only."""
    ranges = []
    for address, text in instructions:
        jump = JUMP.search(text)
        if jump and jump.group(1) and int(jump.group(1), 16) < address:
            ranges.append((int(jump.group(1), 16), address))
    return [r for r in ranges
            if not any(o != r and r[0] <= o[0] and o[1] <= r[1] and has(instructions, o, "HMMA")
                       for o in ranges)]


def has(instructions, span, name):
    return count(instructions, span, name) > 0


def count(instructions, span, name=""):
    return sum(1 for address, text in instructions
               if span[0] <= address <= span[1] and re.search(r"(^|\s)" + name, text))


def report(name, family, instructions):
    spans = [s for s in loops(instructions) if has(instructions, s, "HMMA")]
    if not spans:
        return
    span = max(spans, key=lambda s: s[1] - s[0])
    bits, shape, columns = ARGUMENTS.search(name).groups()
    # Every vector tile of a wide kernel multiplies the same weights once more.
    weights = count(instructions, span, "HMMA") * 256 // max(1, int(columns) // 8)
    total, loads = count(instructions, span), count(instructions, span, "LDS")
    print(f"{family:17} bits {bits} shape {shape} columns {columns:>2}: {total:5} instructions, "
          f"{loads:4} LDS, {weights:6} weights a warp: {32 * total / weights:.3f} and "
          f"{32 * loads / weights:.3f} a weight and lane")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = subprocess.run(["cuobjdump", "-sass", sys.argv[1]], check=True, capture_output=True,
                          text=True).stdout
    for part in re.split(r"(?=Function : )", text):
        kernel = KERNEL.match(part)
        if kernel and "Traced" not in kernel.group(1) and not FEW.search(kernel.group(1)):
            report(kernel.group(1), kernel.group(2),
                   [(int(a, 16), t) for a, t in LINE.findall(part)])


if __name__ == "__main__":
    main()
