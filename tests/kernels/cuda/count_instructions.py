#!/usr/bin/python3
"""Counts the instructions of the fused kernels' loops in a binary.

usage: count_instructions.py BINARY   (needs cuobjdump of the CUDA Toolkit)

Prints, for every shipped FusedResident, FusedLooping, FusedWide and FusedWideResident in BINARY
(those of 32 replicas of the table, which compute capability 9.0 runs), the instructions and the
shared-memory loads of its innermost loop with the most matrix instructions and, from these, how many
of them there are for a weight: that is where the constants of qtip_cuda_fused.cc come from.
A warp's HMMA.16816 takes 16 x 16 weights.

A loop is a backward jump to an instruction that every way to the jump passes. Not every backward
jump is one: what a warp does that finds its lanes apart (BRA.DIV) stands behind the kernel's end and
jumps back into the middle of the loop that it left, past the loops between.
"""

import re
import subprocess
import sys

KERNEL = re.compile(r"Function : (\S*(Fused(?:Resident|Looping|WideResident|Wide))\S*)")
LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(.*?);")
# What it depends on: a predicate before it, or an operand before the target.
JUMP = re.compile(r"^(@\S+\s+)?BRA\S*\s+(\S+,\s*)?0x([0-9a-f]+)")
END = re.compile(r"^(EXIT|RET\S*)\b")
FEW = re.compile(r"(?:ILi|ELi)\d+ELi\d+ELi\d+ELi16EN")  # the fourth argument: replicas
ARGUMENTS = re.compile(r"ILi(\d+)ELi(\d+)ELi(\d+)E")


def parse(listing):
    """(address, text) of every instruction of one function."""
    return [(int(address, 16), text.strip()) for address, text in LINE.findall(listing)]


def followers(instructions):
    """Addresses that may come after each address."""
    following = {}
    for (address, text), after in zip(instructions, instructions[1:] + [(None, "")]):
        jump = JUMP.search(text)
        goes_on = not END.search(text) and not (jump and not jump.group(1) and not jump.group(2))
        following[address] = ([int(jump.group(3), 16)] if jump else []) + \
                             ([after[0]] if goes_on and after[0] is not None else [])
    return following


def reached(following, first, without=None):
    """Addresses on the ways from `first` that do not pass `without`."""
    seen, rest = set(), [first]
    while rest:
        address = rest.pop()
        if address in seen or address == without or address not in following:
            continue
        seen.add(address)
        rest.extend(following[address])
    return seen


def loops(instructions):
    """Ranges of addresses [first, last jump back to it]."""
    following = followers(instructions)
    begin = instructions[0][0]
    alive = reached(following, begin)
    ends = {}
    for address, text in instructions:
        jump = JUMP.search(text)
        target = int(jump.group(3), 16) if jump else None
        if target is None or target > address or address not in alive:
            continue
        if address not in reached(following, begin, without=target):
            ends[target] = max(address, ends.get(target, 0))
    return list(ends.items())


def count(instructions, span, name=""):
    return sum(1 for address, text in instructions
               if span[0] <= address <= span[1] and re.search(r"(^|\s)" + name, text))


def main_loop(instructions):
    """Of the loops with matrix instructions and no such loop within, the one with the most."""
    spans = [s for s in loops(instructions) if count(instructions, s, "HMMA") > 0]
    inner = [s for s in spans
             if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return max(inner, key=lambda s: count(instructions, s, "HMMA"), default=None)


def report(name, family, instructions):
    span = main_loop(instructions)
    if span is None:
        return
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
            report(kernel.group(1), kernel.group(2), parse(part))


if __name__ == "__main__":
    main()
