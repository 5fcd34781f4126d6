"""Bad input: exit code 2, one line, the right reason, and a daemon that goes on serving."""

import json
import math
import os
import pathlib
import socket
import struct
import subprocess
import unittest

from harness import (BIN, Daemon, DaemonTest, f32, matrix, qtipctl, read_safetensors,
                     write_safetensors)


class BadRequests(DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = qtipctl(cls.daemon.target, "quantize", "--name", "w", "--bits", "2", "--random",
                       "32x32")
        assert made.code == 0, made.err

    def tearDown(self):
        self.assertEqual(self.ctl("health").code, 0)

    def quantize(self, reason, *flags, name="n", shape="32x32", allowed=""):
        self.refused(reason, "quantize", "--name", name, "--random", shape, *flags, allowed=allowed)

    def test_a_shape_that_the_format_cannot_take(self):
        self.quantize("SHAPE_UNSUPPORTED", "--bits", "2", shape="100x128", allowed="[96, 128]")

    def test_bits_out_of_range(self):
        for bits in ("5", "0", "-2"):
            self.quantize("OPTION_INVALID", f"--bits={bits}", allowed="1, 2, 3, 4")
        self.quantize("OPTION_INVALID", "--bits", "two")

    def test_an_unknown_format(self):
        self.quantize("FORMAT_UNKNOWN", "--format", "qtop", allowed="qtip")

    def test_an_unknown_code(self):
        self.quantize("OPTION_INVALID", "--bits", "2", "--code", "hybrid", allowed="hyb")

    def test_options_that_do_not_go_together(self):
        self.quantize("OPTION_INVALID", "--code", "1mad", "--option", "vector_dim=2",
                      allowed="1 for code 1mad")
        self.quantize("OPTION_INVALID", "--code", "lut", "--option", "state_bits=7", allowed="8 to 16")
        self.quantize("OPTION_INVALID", "--option", "scale_override=best", allowed="or auto")

    def test_an_unknown_option(self):
        self.quantize("OPTION_UNKNOWN", "--bits", "2", "--option", "sigma_rag=1",
                      allowed="sigma_reg")

    def test_an_option_out_of_range(self):
        self.quantize("OPTION_INVALID", "--bits", "2", "--option", "scale_override=nan")

    def test_an_unknown_device(self):
        self.quantize("DEVICE_NOT_FOUND", "--bits", "2", "--device", "cuda:7", allowed="cpu")

    def test_a_name_that_is_none(self):
        for name in ("a b", "", "x" * 201, "ä"):
            self.quantize("NAME_INVALID", "--bits", "2", name=name)

    def test_a_duplicate_name(self):
        self.quantize("ARTIFACT_EXISTS", "--bits", "2", name="w", allowed="a name that no artifact has")

    def test_if_absent_takes_only_the_same_recipe(self):
        before = self.done("artifacts", "show", "w")
        same = self.done("quantize", "--name", "w", "--bits", "2", "--random", "32x32",
                         "--if-absent")
        self.assertEqual(same["sha256"], before["sha256"])
        self.quantize("ARTIFACT_RECIPE_DIFFERS", "--bits", "3", "--if-absent", name="w",
                      allowed="bits: got 3, allowed 2, ")

    def test_a_matrix_larger_than_memory(self):
        needed = 131072 * 131072 * 4  # the largest shape, as F32
        if os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") > needed:
            self.skipTest("this machine has room for the largest matrix that the format takes")
        self.quantize("MATRIX_TOO_LARGE", "--bits", "2", shape="131072x131072")

    def test_an_unknown_path(self):
        self.refused("PATH_UNKNOWN", "bench", "--artifact", "w", "--path", "fast",
                     allowed="dense, dequant, fused")

    def test_an_unknown_artifact(self):
        self.refused("ARTIFACT_NOT_FOUND", "bench", "--artifact", "v")
        self.refused("ARTIFACT_NOT_FOUND", "artifacts", "delete", "v")
        self.refused("ARTIFACT_NOT_FOUND", "export", "v", self.scratch / "v")
        self.assertFalse((self.scratch / "v").exists())

    def test_an_export_that_cannot_be_written(self):
        for place in ("/nonexistent/x", self.scratch):
            self.refused("FILE_NOT_WRITABLE", "export", "w", place, "--force",
                         allowed=f"file: got {place}, allowed a file in a directory")

    def test_an_unknown_run_or_job(self):
        self.refused("RUN_NOT_FOUND", "runs", "show", "4711")
        self.refused("OPERATION_NOT_FOUND", "jobs", "watch", "4711")

    def test_limits_that_make_no_sense(self):
        self.refused("STOPPING_RULE_INVALID", "bench", "--artifact", "w", "--precision", "2")
        self.refused("STOPPING_RULE_INVALID", "bench", "--artifact", "w", "--samples=-1")
        self.refused("USAGE", "bench", "--artifact", "w", "--batch", "0")

    def test_activations_that_the_device_does_not_take(self):
        for verb in ("bench", "profile"):
            for dtype in ("f16", "fp8", "f64"):
                self.refused("ACTIVATION_DTYPE_UNSUPPORTED", verb, "--artifact", "w",
                             "--activations", dtype, allowed="F32, BF16 on cpu")

    def test_the_whole_status_follows_with_json(self):
        result = self.ctl("-o", "json", "artifacts", "show", "v")
        line, text = result.err.split("\n", 1)
        status = json.loads(text)
        self.assertTrue(line.startswith("error: ARTIFACT_NOT_FOUND: "))
        self.assertEqual(status["code"], 5)
        self.assertEqual(status["details"][0]["reason"], "ARTIFACT_NOT_FOUND")
        self.assertEqual(status["details"][0]["domain"], "qtipd.dev")
        self.assertEqual(result.out, "")


class BadFiles(DaemonTest):
    """Files that qtipctl refuses itself, and the same ones read by the daemon."""

    FLAGS = ("--server-path={scratch}",)

    def tearDown(self):
        self.assertEqual(self.ctl("health").code, 0)
        names = [artifact["name"] for artifact in self.done("artifacts", "list")["artifacts"]]
        self.assertNotIn("n", names)
        self.assertEqual(list((self.scratch / "data" / "artifacts").glob(".tmp-*")), [])

    def file(self, **tensors):
        return write_safetensors(self.scratch / f"{self.id()}.safetensors", tensors)

    def both(self, reason, path, *flags, allowed=""):
        for source in ("--input", "--server-path"):
            self.refused(reason, "quantize", "--name", "n", "--bits", "2", source, path,
                         "--tensor", "w", *flags, allowed=allowed)

    def raw(self, content):
        path = self.scratch / "raw.safetensors"
        path.write_bytes(content)
        return path

    def test_numbers_that_are_not_finite(self):
        for value in (math.nan, math.inf):
            self.both("NON_FINITE", self.file(w=matrix(32, 32, value)))

    def test_a_hessian_that_is_not_finite(self):
        path = self.file(w=matrix(32, 32), h=matrix(32, 32, math.inf))
        self.both("NON_FINITE", path, "--hessian", "h")

    def test_a_hessian_of_the_wrong_size(self):
        path = self.file(w=matrix(32, 32), h=matrix(16, 16))
        self.both("HESSIAN_SHAPE", path, "--hessian", "h")

    def test_a_hessian_that_is_not_positive_definite(self):
        values = [1.0 if row == column else 10.0 for row in range(32) for column in range(32)]
        path = self.file(w=matrix(32, 32), h=("F32", [32, 32], f32(values)))
        self.both("HESSIAN_NOT_POSITIVE_DEFINITE", path, "--hessian", "h",
                  allowed="h as hessian: got ")
        # Above zero once regularised, it is taken.
        self.done("quantize", "--name", "regular", "--bits", "2", "--input", path, "--tensor", "w",
                  "--hessian", "h", "--option", "sigma_reg=10")

    def test_a_missing_file(self):
        self.both("FILE_NOT_FOUND", self.scratch / "none.safetensors")

    def test_a_missing_tensor(self):
        path = self.file(w1=matrix(32, 32))
        self.both("TENSOR_NOT_FOUND", path)

    def test_a_tensor_of_another_type_or_rank(self):
        self.both("TENSOR_DTYPE_UNSUPPORTED", self.file(w=("I8", [32, 32], bytes(32 * 32))))
        self.both("TENSOR_SHAPE_UNSUPPORTED", self.file(w=("F32", [1024], f32([1.0] * 1024))))

    def test_a_truncated_file(self):
        whole = pathlib.Path(self.file(w=matrix(32, 32))).read_bytes()
        for size in (0, 4, 8, 40, len(whole) - 1):
            self.both("SAFETENSORS_INVALID", self.raw(whole[:size]))

    def test_a_header_that_claims_too_much(self):
        for length in (1 << 63, 1 << 40, 100):
            self.both("SAFETENSORS_INVALID", self.raw(struct.pack("<Q", length) + b"{}"))

    def test_a_header_that_lies(self):
        good = {"dtype": "F32", "shape": [32, 32], "data_offsets": [0, 4096]}
        for lie in ({"shape": [1 << 40, 1 << 40]}, {"shape": [32, -32]}, {"dtype": "F99"},
                    {"data_offsets": [4096, 0]}, {"data_offsets": [0, 1 << 60]}):
            header = json.dumps({"w": {**good, **lie}}).encode()
            self.both("SAFETENSORS_INVALID",
                      self.raw(struct.pack("<Q", len(header)) + header + bytes(4096)))
        self.both("SAFETENSORS_INVALID", self.raw(struct.pack("<Q", 9) + b"[" * 9 + bytes(64)))

    def test_an_import_that_lacks_a_tensor(self):
        self.done("quantize", "--name", "whole", "--bits", "2", "--random", "32x32")
        self.done("export", "whole", self.scratch / "whole")
        tensors = read_safetensors(self.scratch / "whole")
        del tensors["SU"]
        path = self.file(**{f"layer.{name}": tensor for name, tensor in tensors.items()})
        for prefix in ((), ("--prefix", "layer")):
            self.refused("TENSOR_MISSING", "import", path, "--name", "n", *prefix,
                         allowed="SU: got only ")

    def test_a_refused_start_leaves_no_upload(self):
        path = self.file(w=matrix(32, 32))
        self.refused("NAME_INVALID", "quantize", "--name", "a b", "--bits", "2", "--input", path,
                     "--tensor", "w")
        self.assertEqual(list((self.scratch / "data" / "uploads").glob("upload-*")), [])

    def test_the_mean_of_a_flattened_hessian_travels(self):
        triangle = [1.0 if row == column else 0.0 for row in range(32) for column in range(row + 1)]
        hessian = {"a.flatH": ("F32", [528], f32(triangle))}
        mean = {"a.mu": ("F32", [32], f32([8.0 + column for column in range(32)]))}
        made = set()
        for i, tensors in enumerate(({**hessian, **mean}, hessian)):
            path = write_safetensors(self.scratch / f"mean{i}", {"w": matrix(32, 32), **tensors})
            for source in ("--input", "--server-path"):
                artifact = self.done("quantize", "--name", f"mean{i}{source}", "--bits", "2",
                                     source, path, "--tensor", "w", "--hessian", "a.flatH")
                made.add((i, artifact["sha256"]))
        self.assertEqual(len(made), 2)  # here and at the daemon the same
        self.assertEqual(len({sha256 for _, sha256 in made}), 2)  # and the mean matters

    def test_an_import_that_is_no_layer(self):
        path = self.file(w=matrix(32, 32))
        self.refused("LAYER_NOT_FOUND", "import", path, "--name", "n")


class BadStarts(DaemonTest):
    """Daemons that cannot start say so in one line, exit 2 and leave the running one alone."""

    def failed_start(self, *flags):
        done = subprocess.run(
            [BIN / "qtipd", "--device=cpu", "--http-listen=127.0.0.1:0", *flags],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(self.ctl("health").code, 0)
        line = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(line), 1, done.stderr)
        return line[0].split(": ")[1]

    def test_a_port_in_use(self):
        for flag in ("--listen", "--http-listen"):
            other = "--listen=127.0.0.1:0" if flag == "--http-listen" else "--log-level=info"
            used = self.daemon.target if flag == "--listen" else self.daemon.http
            self.assertEqual(self.failed_start(other, f"{flag}={used}",
                                               f"--data-dir={self.scratch / flag}"), "PORT_IN_USE")

    def test_a_port_in_use_by_another_program(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.assertEqual(
                self.failed_start(f"--listen=127.0.0.1:{taken.getsockname()[1]}",
                                  f"--data-dir={self.scratch / 'd'}"), "PORT_IN_USE")

    def test_a_data_directory_in_use(self):
        self.assertEqual(self.failed_start("--listen=127.0.0.1:0",
                                           f"--data-dir={self.scratch / 'data'}"), "DATA_DIR_IN_USE")

    def test_a_data_directory_that_cannot_be_written(self):
        places = ["/dev/null/data", "/proc/qtipd"]
        if os.geteuid() != 0:
            places.append("/data-of-qtipd")
        for place in places:
            self.assertEqual(self.failed_start("--listen=127.0.0.1:0", f"--data-dir={place}"),
                             "DATA_DIR_NOT_WRITABLE")

    def test_a_device_that_is_not_there(self):
        done = subprocess.run([BIN / "qtipd", "--device=cuda:99", "--listen=127.0.0.1:0",
                               "--http-listen=127.0.0.1:0", f"--data-dir={self.scratch / 'g'}"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)

    def test_a_target_that_does_not_answer(self):
        result = qtipctl("127.0.0.1:1", "--timeout", "300ms", "artifacts", "list")
        self.assertEqual((result.code, result.reason), (2, "TARGET_UNREACHABLE"))

    def test_a_target_that_is_no_qtipd(self):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            result = qtipctl(f"127.0.0.1:{mute.getsockname()[1]}", "--timeout", "1s", "info")
        self.assertEqual((result.code, result.reason), (2, "TARGET_UNREACHABLE"))

    def test_a_daemon_started_twice_at_once_runs_once(self):
        data = self.scratch / "twice"
        with_lock = Daemon(data)
        self.addCleanup(with_lock.stop)
        with self.assertRaises(RuntimeError):
            Daemon(data)
        self.assertEqual(qtipctl(with_lock.target, "health").code, 0)


if __name__ == "__main__":
    unittest.main()
