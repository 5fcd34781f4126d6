#!/usr/bin/python3
"""Proves that count_instructions.py finds the loop that matters in a made-up kernel.

usage: count_instructions_test.py
"""

import contextlib
import io
import unittest

import count_instructions as counter

# A wide kernel of two row blocks, in the order that ptxas lays it: a loop over chunks of rows around
# two loops over columns, for two row blocks and for one. Behind the end stands what is done where a
# warp's lanes are apart, once for each loop; it jumps back into the middle of its loop.
WIDE = """
        S2R R0, SR_TID.X
fill:   STS [R1], R2
    @P0 BRA fill
chunk:  ISETP.NE.AND P1, PT, R1, RZ, PT
   @!P1 BRA one
two:    LDS R1, [R2]
        BRA.DIV ~URZ, apart2
        SHFL.IDX PT, R3, R4, R5, 0x1f
again2: HMMA.16816.F32 R8, R4, R6, R8
        HMMA.16816.F32 R12, R4, R7, R12
    @P2 BRA skip
        LDS R1, [R2+0x10]
skip:   HMMA.16816.F32 R16, R4, R6, R16
        HMMA.16816.F32 R20, R4, R7, R20
   @!P1 BRA two
        BRA sums
one:    LDS R1, [R2]
        BRA.DIV ~URZ, apart1
        SHFL.IDX PT, R3, R4, R5, 0x1f
again1: HMMA.16816.F32 R8, R4, R6, R8
        HMMA.16816.F32 R12, R4, R7, R12
   @!P1 BRA one
sums:   STG.E [R2], R8
    @P3 EXIT
        BRA chunk
apart2: WARPSYNC.COLLECTIVE R8, again2
        LDS R1, [R2]
        BRA again2
apart1: WARPSYNC.COLLECTIVE R8, again1
        LDS R1, [R2]
        BRA again1
end:    BRA end
"""


def assemble(text):
    """The listing that cuobjdump would give, and the address of every label."""
    lines = [line.rpartition(":")[::2] for line in text.strip("\n").splitlines()]
    labels = {label.strip(): 16 * i for i, (label, _) in enumerate(lines) if label}
    listing = ""
    for i, (_, code) in enumerate(lines):
        words = [hex(labels[word]) if word in labels else word for word in code.split()]
        listing += f"        /*{16 * i:04x}*/  {' '.join(words)} ;   /* 0x000fe200 */\n"
    return listing, labels


class CountInstructions(unittest.TestCase):
    def setUp(self):
        listing, self.labels = assemble(WIDE)
        self.kernel = counter.parse(listing)

    def span(self, first, after):
        """From label `first` to the instruction before label `after`."""
        return self.labels[first], self.labels[after] - 16

    def test_knows_loops_from_other_backward_jumps(self):
        self.assertEqual(sorted(counter.loops(self.kernel)),
                         [self.span("fill", "chunk"), self.span("chunk", "apart2"),
                          (self.labels["two"], self.labels["one"] - 32), self.span("one", "sums")])

    def test_takes_the_inner_loop_of_most_row_blocks(self):
        span = counter.main_loop(self.kernel)
        self.assertEqual(span, (self.labels["two"], self.labels["one"] - 32))
        self.assertEqual(counter.count(self.kernel, span), 10)
        self.assertEqual(counter.count(self.kernel, span, "LDS"), 2)
        self.assertEqual(counter.count(self.kernel, span, "HMMA"), 4)

    def test_counts_weights_once_for_all_vector_tiles(self):
        name = "_ZN5qtipd9FusedWideILi2ELi2ELi16ELi32ENS_14FusedArgumentsEEEvT3_"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            counter.report(name, "FusedWide", self.kernel)
        self.assertIn("bits 2 shape 2 columns 16:    10 instructions,    2 LDS,    512 weights a "
                      "warp: 0.625 and 0.125 a weight and lane", printed.getvalue())

    def test_takes_two_jumps_to_one_head_for_one_loop(self):
        kernel, labels = assemble("""
head:   HMMA.16816.F32 R8, R4, R6, R8
    @P0 BRA head
        IADD3 R1, R1, 0x1, RZ
    @P1 BRA head
        EXIT
""")
        self.assertEqual(counter.main_loop(counter.parse(kernel)), (labels["head"], 48))

    def test_has_nothing_to_say_of_a_kernel_without_such_a_loop(self):
        kernel, _ = assemble("""
loop:   LDS R1, [R2]
    @P0 BRA loop
        HMMA.16816.F32 R8, R4, R6, R8
        EXIT
""")
        self.assertIsNone(counter.main_loop(counter.parse(kernel)))


if __name__ == "__main__":
    unittest.main()
