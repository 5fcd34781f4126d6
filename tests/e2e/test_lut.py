"""Format lut: from a matrix to codebooks and their speed, and layers written by hand back."""

import array
import struct

from harness import DaemonTest, f32, matrix, read_safetensors, write_safetensors

OUT, IN = 64, 256
PATHS = ("dense", "dequant", "fused")


def halves(tensor):
    return struct.unpack(f"<{len(tensor[2]) // 2}e", tensor[2])


def decode(layer, bits, block):
    """Weights of a layer with one codebook, row by row."""
    codebook, scales = halves(layer["codebook"]), halves(layer["scales"])
    width = IN * bits // 8
    weights = []
    for row in range(OUT):
        packed = int.from_bytes(layer["indices"][2][row * width:(row + 1) * width], "little")
        for column in range(IN):
            index = packed >> bits * column & (1 << bits) - 1
            weights.append(codebook[index] * scales[(row * IN + column) // block])
    return weights


class Lut(DaemonTest):

    def exported(self, name, *options):
        path = self.scratch / f"{name}-{'-'.join(options)}.safetensors"
        self.done("export", name, path, "--force", *options)
        return read_safetensors(path)

    def dense(self, name):
        return list(array.array("f", self.exported(name, "--as", "dense")["weight"][2]))

    def quantize(self, name, *options, shape=f"{OUT}x{IN}"):
        given = [word for option in options for word in ("--option", option)]
        return self.done("quantize", "--name", name, "--format", "lut", "--random", shape, *given)

    def test_every_option_is_quantized_and_multiplied(self):
        # With block scales below the best scalar quantizer of a normal distribution (Max, 1960);
        # without, near it for so few weights.
        cases = {"b1": (("bits=1",), 0.3634), "b2": (("bits=2",), 0.1175),
                 "b3": (("bits=3",), 0.03454), "b4": (("bits=4",), 0.009497),
                 "b8": (("bits=8", "block_size=32"), 0.0001),
                 "rows": (("codebook_per=channel", "scale=rms"), 0.0095),
                 "none": (("block_size=0",), 0.01),
                 "uniform": (("codebook=uniform", "scale_dtype=bf16"), 0.0095)}
        for name, (options, bound) in cases.items():
            with self.subTest(name):
                artifact = self.quantize(name, *options)
                self.assertEqual(artifact["format"], "lut")
                self.assertLess(artifact["quality"]["relativeWeightMse"], bound)
                run = self.done("bench", "--artifact", name, "--path", ",".join(PATHS),
                                "--batch", "1,4", "--samples", "3")
                self.assertEqual(len(run["results"]), 2 * len(PATHS))
                for cell in run["results"]:
                    self.assertLess(cell["relativeError"], 1e-5)

    def test_layers_come_back_byte_for_byte(self):
        for bits, block in ((3, 64), (4, 32)):
            self.quantize(f"w{bits}", f"bits={bits}", f"block_size={block}")
            layer = self.exported(f"w{bits}")
            self.assertEqual(sorted(layer), ["codebook", "indices", "scales", "shape"])
            self.assertEqual(layer["indices"][1], [OUT, IN * bits // 8])
            self.assertEqual(self.dense(f"w{bits}"), decode(layer, bits, block))
            path = write_safetensors(self.scratch / "layer.safetensors", layer)
            imported = self.done("import", path, "--name", f"again{bits}")
            self.assertEqual(imported["format"], "lut")
            self.assertEqual(self.exported(f"again{bits}"), layer)

    def test_the_same_bytes_whatever_the_seed_of_the_encoder(self):
        path = write_safetensors(self.scratch / "in.safetensors", {"w": matrix(OUT, IN)})
        for name in ("one", "two"):
            self.done("quantize", "--name", name, "--format", "lut", "--input", path, "--tensor", "w")
        self.assertEqual(self.exported("one"), self.exported("two"))

    def test_a_hessian_moves_the_error_to_columns_that_matter_less(self):
        diagonal = [100.0 if i < 8 else 0.01 for i in range(64)]
        rows = [diagonal[i] if i == j else 0.0 for i in range(64) for j in range(64)]
        tensors = {"w": matrix(64, 64), "h": ("F32", [64, 64], f32(rows))}
        path = write_safetensors(self.scratch / "h.safetensors", tensors)
        weights = array.array("f", tensors["w"][2])
        errors = {}
        for name, *hessian in (("plain",), ("weighed", "--hessian", "h")):
            self.done("quantize", "--name", f"h-{name}", "--format", "lut", "--option", "bits=2",
                      "--input", path, "--tensor", "w", *hessian)
            errors[name] = sum(diagonal[i % 64] * (a - b) ** 2
                               for i, (a, b) in enumerate(zip(weights, self.dense(f"h-{name}"))))
        self.assertLess(errors["weighed"], 0.9 * errors["plain"])

    def test_what_it_cannot_take_is_refused_by_name(self):
        start = ("quantize", "--name", "n", "--format", "lut", "--random")
        self.refused("SHAPE_UNSUPPORTED", *start, "64x100", allowed="nearest 64x128")
        self.refused("CODEBOOK_TOO_LARGE", *start, "2x64", "--option", "bits=8",
                     allowed="256 codebook entries for 128 values")
        self.refused("OPTION_INVALID", *start, "64x64", "--option", "bits=5",
                     allowed="1, 2, 3, 4, 8")
        self.refused("OPTION_UNKNOWN", *start, "64x64", "--option", "group_size=64")
        small = write_safetensors(self.scratch / "small.safetensors", {"w": matrix(64, 64, 1e-7)})
        self.refused("WEIGHTS_OUT_OF_RANGE", "quantize", "--name", "n", "--format", "lut", "--input",
                     small, "--tensor", "w", allowed="bf16")

    def test_a_layer_that_lies_is_refused_by_the_name_of_its_tensor(self):
        self.quantize("good")
        layer = self.exported("good")
        for reason, name, tensor in (
                ("TENSOR_SHAPE_INVALID", "scales", ("F16", [OUT, 5], bytes(OUT * 10))),
                ("TENSOR_NOT_FINITE", "codebook", ("F16", [16], b"\x00\x7c" * 16)),
                ("TENSOR_DTYPE_UNSUPPORTED", "indices", ("I8", *layer["indices"][1:])),
                ("TENSOR_VALUE_INVALID", "shape", ("I64", [2], struct.pack("<qq", OUT, -IN)))):
            path = write_safetensors(self.scratch / "bad.safetensors", {**layer, name: tensor})
            self.refused(reason, "import", path, "--name", "bad", allowed=name)
        for name in ("codebook", "shape"):
            missing = {other: tensor for other, tensor in layer.items() if other != name}
            path = write_safetensors(self.scratch / "bad.safetensors", missing)
            self.refused("TENSOR_MISSING", "import", path, "--name", "bad", allowed=name)
        names = [artifact["name"] for artifact in self.done("artifacts", "list")["artifacts"]]
        self.assertNotIn("bad", names)
