#!/usr/bin/python3
"""Proves that check_cuda_architectures.py sees each kind of violation: one is planted in a small tree.

usage: check_cuda_architectures_test.py
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECKER = pathlib.Path(__file__).with_name("check_cuda_architectures.py")


class CudaArchitectures(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="qtipd-architectures-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.plant("cmake/QtipdCuda.cmake",
                   "set(QTIPD_RELEASE_CUDA_ARCHITECTURES 80-real 86-real 90-real 90-virtual)")
        self.plant("docs/operations.md", "It has `sm_80`, `sm_86`, `sm_90`\nand the PTX `compute_90`.")

    def plant(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")

    def assert_says(self, status, start):
        done = subprocess.run([sys.executable, CHECKER, self.root], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout)
        self.assertTrue(any(line.startswith(start) for line in done.stdout.splitlines()), done.stdout)

    def test_finds_nothing_where_all_agree(self):
        self.plant("Dockerfile", "ARG CUDAARCHS=80-real;86-real;90-real;90-virtual")
        self.plant("README.md", "Machine code: sm_80, sm_86, sm_90.")
        self.plant("script/build", "# such as 86-real or 80-real;90-virtual")
        self.assert_says(0, "sm_80, sm_86, sm_90 and the PTX compute_90, 0 violations")

    def test_sees_a_second_list_that_differs(self):
        self.plant("Dockerfile", "ARG CUDAARCHS=80-real;89-real;90-real")
        self.assert_says(1, "list: Dockerfile has 80-real;89-real;90-real")

    def test_sees_a_list_in_a_test_that_differs(self):
        self.plant("tests/kernels/cuda/planted.cc", '"80-real,90-real,90-virtual"')
        self.assert_says(1, "list: tests/kernels/cuda/planted.cc has 80-real,90-real,90-virtual")

    def test_sees_a_document_that_lags_behind(self):
        self.plant("README.md", "Machine code: sm_80, sm_89 and sm_90.")
        self.assert_says(1, "document: README.md says sm_80, sm_89 and sm_90")

    def test_sees_other_ptx(self):
        self.plant("docs/planted.md", "sm_80, sm_86, sm_90 and the PTX compute_120")
        self.assert_says(1, "document: docs/planted.md says")

    def test_sees_that_no_document_has_it(self):
        self.plant("docs/operations.md", "It has many.")
        self.assert_says(1, "document: docs/operations.md does not say sm_80, sm_86, sm_90 and the PTX")

    def test_refuses_a_tree_without_a_list(self):
        self.plant("cmake/QtipdCuda.cmake", "set(OTHER 80-real)")
        self.assert_says(2, "no list in cmake/QtipdCuda.cmake")


if __name__ == "__main__":
    unittest.main()
