"""Format int4: from a matrix to a GPTQ layer and its speed, and layers of GPTQ and AWQ back."""

import array
import json
import struct

from harness import DaemonTest, f32, matrix, read_safetensors, write_safetensors

OUT, IN, GROUP = 64, 256, 64


def words(tensor):
    return array.array("I", tensor[2])


def halves(tensor):
    return struct.unpack(f"<{len(tensor[2]) // 2}e", tensor[2])


def nibble(word, i):
    return word >> 4 * i & 15


def decode_gptq(layer, offset):
    """Weights of a GPTQ layer, row by row."""
    qweight, qzeros, scales = words(layer["qweight"]), words(layer["qzeros"]), halves(layer["scales"])
    weights = []
    for row in range(OUT):
        for column in range(IN):
            group = column // GROUP
            code = nibble(qweight[column // 8 * OUT + row], column % 8)
            zero = nibble(qzeros[group * OUT // 8 + row // 8], row % 8) + offset
            weights.append(scales[group * OUT + row] * (code - zero))
    return weights


def awq_layer(codes, zeros, scales):
    """`codes` [IN][OUT], `zeros` and `scales` [groups][OUT]; eight outputs to a word, the even first."""
    order = (0, 2, 4, 6, 1, 3, 5, 7)

    def pack(rows):
        packed = array.array("I")
        for row in rows:
            for first in range(0, OUT, 8):
                packed.append(sum(row[first + order[i]] << 4 * i for i in range(8)))
        return packed.tobytes()

    groups = IN // GROUP
    flat = [scale for row in scales for scale in row]
    return {"qweight": ("I32", [IN, OUT // 8], pack(codes)),
            "qzeros": ("I32", [groups, OUT // 8], pack(zeros)),
            "scales": ("F16", [groups, OUT], struct.pack(f"<{len(flat)}e", *flat))}


class Int4(DaemonTest):

    def exported(self, name, *options):
        path = self.scratch / f"{name}-{'-'.join(options)}.safetensors"
        self.done("export", name, path, "--force", *options)
        return read_safetensors(path)

    def dense(self, name):
        return list(array.array("f", self.exported(name, "--as", "dense")["weight"][2]))

    def quantize(self, name, *options):
        given = [word for option in options for word in ("--option", option)]
        return self.done("quantize", "--name", name, "--format", "int4", "--random", f"{OUT}x{IN}",
                         *given)

    def test_every_option_is_quantized_and_multiplied(self):
        cases = {"g32": ("group_size=32",), "row": ("group_size=-1",),
                 "asymmetric": ("symmetric=false", "group_size=64"), "bf16": ("scale_dtype=bf16",)}
        for name, options in cases.items():
            with self.subTest(name):
                artifact = self.quantize(name, *options)
                self.assertEqual(artifact["format"], "int4")
                # A uniform quantizer of a normal distribution leaves 0.0115 (Max, 1960) at best;
                # one with a range for each group less.
                self.assertLess(artifact["quality"]["relativeWeightMse"], 0.0125)
                self.assertGreater(artifact["quality"]["relativeWeightMse"], 0.004)
                run = self.done("bench", "--artifact", name, "--path", "dense,dequant,fused",
                                "--batch", "1,4", "--samples", "3")
                self.assertEqual(len(run["results"]), 6)
                for cell in run["results"]:
                    self.assertLess(cell["relativeError"], 1e-5)
                self.assertEqual([step["name"] for step in run["results"][-1]["steps"]],
                                 ["fused_decode"])

    def test_a_hessian_is_used_unless_told_otherwise(self):
        rows = [[0.9 ** abs(i - j) for j in range(64)] for i in range(64)]
        path = write_safetensors(self.scratch / "in.safetensors",
                                 {"w": matrix(64, 64),
                                  "h": ("F32", [64, 64], f32([v for row in rows for v in row]))})
        source = ("--format", "int4", "--option", "group_size=32", "--input", path, "--tensor", "w")
        for name, *options in (("plain",), ("gptq", "--hessian", "h"),
                               ("rtn", "--hessian", "h", "--option", "encoder=rtn")):
            self.done("quantize", "--name", f"h-{name}", *source, *options)
        self.assertEqual(self.dense("h-plain"), self.dense("h-rtn"))
        self.assertNotEqual(self.dense("h-plain"), self.dense("h-gptq"))

    def test_layers_of_gptq_come_back_byte_for_byte(self):
        self.quantize("asym", "symmetric=false", f"group_size={GROUP}")
        layer = self.exported("asym")
        self.assertEqual(sorted(layer), ["g_idx", "qweight", "qzeros", "scales"])
        self.assertEqual(self.dense("asym"), decode_gptq(layer, 1))
        path = write_safetensors(self.scratch / "layer.safetensors", layer)
        self.done("import", path, "--name", "v1")
        self.assertEqual(self.exported("v1"), layer)
        self.done("import", path, "--name", "v2", "--option", "checkpoint_format=gptq_v2")
        self.assertEqual(self.exported("v2"), layer)
        self.assertEqual(self.dense("v2"), decode_gptq(layer, 0))

    def test_layers_of_awq_become_layers_of_gptq(self):
        codes = [[(7 * i + 3 * j) % 16 for j in range(OUT)] for i in range(IN)]
        zeros = [[(g + j) % 16 for j in range(OUT)] for g in range(IN // GROUP)]
        scales = [[0.25 + g + j / 64 for j in range(OUT)] for g in range(IN // GROUP)]
        path = write_safetensors(self.scratch / "awq.safetensors", awq_layer(codes, zeros, scales))
        self.done("import", path, "--name", "awq")
        weights = [scales[i // GROUP][j] * (codes[i][j] - zeros[i // GROUP][j])
                   for j in range(OUT) for i in range(IN)]
        self.assertEqual(self.dense("awq"), weights)
        self.assertEqual(decode_gptq(self.exported("awq"), 0), weights)

    def test_a_model_of_gptq_comes_back_byte_for_byte(self):
        self.quantize("one", f"group_size={GROUP}")
        layer = self.exported("one")
        plain = ("F16", [OUT], bytes(2 * OUT))
        tensors = {f"model.layers.{i}.mlp.up_proj.{name}": tensor
                   for i in (0, 1) for name, tensor in layer.items()}
        tensors["model.norm.weight"] = plain
        config = {"hidden_size": IN,
                  "quantization_config": {"bits": 4, "quant_method": "gptq", "group_size": GROUP,
                                          "desc_act": False, "sym": True, "damp_percent": 0.01,
                                          "checkpoint_format": "gptq"}}
        directory = self.scratch / "model"
        directory.mkdir()
        write_safetensors(directory / "model.safetensors", tensors)
        (directory / "config.json").write_text(json.dumps(config))
        model = self.done("import", directory, "--name", "m")
        self.assertEqual([one["artifact"] for one in model["layers"]],
                         ["m/model.layers.0.mlp.up_proj", "m/model.layers.1.mlp.up_proj"])
        self.assertEqual(model["absentTensors"], ["model.norm.weight"])
        out = self.scratch / "model-out"
        self.done("export", "m", out)
        self.assertEqual(json.loads((out / "config.json").read_text()), config)
        del tensors["model.norm.weight"]
        self.assertEqual(read_safetensors(out / "model.safetensors"), tensors)
        config["quantization_config"]["bits"] = 8
        (directory / "config.json").write_text(json.dumps(config))
        self.refused("MODEL_CONFIG_INVALID", "import", directory, "--name", "eight",
                     allowed="config.json quantization_config.bits: got 8, allowed 4")

    def test_what_it_cannot_take_is_refused_by_name(self):
        self.refused("SHAPE_UNSUPPORTED", "quantize", "--name", "n", "--format", "int4", "--random",
                     "64x96", allowed="group_size: got 128, allowed 32 or -1 (one group a row)")
        self.quantize("base", f"group_size={GROUP}")
        layer = self.exported("base")
        order = array.array("i", layer["g_idx"][2])
        order.reverse()
        layer["g_idx"] = ("I32", [IN], order.tobytes())
        path = write_safetensors(self.scratch / "act.safetensors", layer)
        result = self.ctl("import", path, "--name", "act")
        self.assertEqual(result.reason, "LAYER_UNSUPPORTED", result.err)
        self.assertIn("g_idx: got group 3 for column 0", result.err)
        self.assertIn("not supported", result.err)
        del layer["qzeros"]
        path = write_safetensors(self.scratch / "less.safetensors", layer)
        self.refused("TENSOR_MISSING", "import", path, "--name", "less", allowed="qzeros: got only")
        names = [artifact["name"] for artifact in self.done("artifacts", "list")["artifacts"]]
        self.assertFalse({"n", "act", "less"} & set(names))
