// Files in, end to end: quantizing tensors, Hessians, imports, server paths.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

class InputTest : public EngineFixture {
 protected:
  QuantizeSpec FromTensors(const TensorMap& tensors, const std::string& hessian = "") {
    QuantizeSpec spec;
    spec.name = "w";
    spec.format = "fake";
    spec.tensor = TensorSource{.file = {.upload_id = Upload(tensors)},
                               .tensor = "W",
                               .hessian_tensor = hessian,
                               .display_name = "my.safetensors"};
    return spec;
  }
  static HostTensor W() { return Floats({4, 4}, std::vector<float>(16, 0.3f)); }
  absl::Status Error(const QuantizeSpec& spec) { return Await(engine_->StartQuantize(spec)).error; }

  ImportSpec Import(const TensorMap& tensors) {
    ImportSpec spec;
    spec.name = "imported";
    spec.file.upload_id = Upload(tensors);
    spec.display_name = "model.safetensors";
    return spec;
  }
  absl::Status Error(const ImportSpec& spec) { return Await(engine_->StartImport(spec)).error; }
};

TEST_F(InputTest, QuantizesATensorOfAFile) {
  const absl::Status status = Error(FromTensors({{"W", W()}}));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(engine_->GetArtifact("w")->source, "file my.safetensors tensor=W");
  EXPECT_NEAR(engine_->GetArtifact("w")->quality->weight_mse, 0.05 * 0.05, 1e-6);
}

TEST_F(InputTest, TakesHalvesAndBfloats) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const uint16_t half = dtype == DType::kF16 ? FloatToHalf(0.5f) : FloatToBfloat16(0.5f);
    QuantizeSpec spec =
        FromTensors({{"W", HostTensor::Take(dtype, {4, 4}, std::vector<uint16_t>(16, half))}});
    spec.name = DTypeName(dtype);
    ASSERT_TRUE(Error(spec).ok());
    EXPECT_EQ(engine_->GetArtifact(spec.name)->quality->weight_mse, 0);
  }
}

TEST_F(InputTest, AnUploadIsConsumedByItsOperation) {
  const QuantizeSpec spec = FromTensors({{"W", W()}});
  ASSERT_TRUE(Error(spec).ok());
  QuantizeSpec again = spec;
  again.name = "v";
  engine_->Shutdown();  // the cleanup comes after the operation's end
  EXPECT_TRUE(std::filesystem::is_empty(config_.data_dir + "/uploads"));
}

TEST_F(InputTest, ARefusedStartLeavesNoUploadBehind) {
  QuantizeSpec quantize = FromTensors({{"W", W()}});
  quantize.format = "other";
  quantize.tensor->hessian_file.upload_id = Upload({{"H", W()}});
  quantize.tensor->hessian_tensor = "H";
  EXPECT_EQ(Reason(engine_->StartQuantize(quantize).status()), "FORMAT_UNKNOWN");
  ImportSpec import = Import({{"rounded", W()}});
  import.name = "no name";
  EXPECT_EQ(Reason(engine_->StartImport(import).status()), "NAME_INVALID");
  EXPECT_TRUE(std::filesystem::is_empty(config_.data_dir + "/uploads"));
}

TEST_F(InputTest, ARefusedStartLeavesTheUploadToTheOneThatUsesIt) {
  Gate entered;
  Gate leave;
  format_->on_quantize = [&] {
    entered.Open();
    leave.Wait();
  };
  const auto busy = engine_->StartQuantize(Random("busy"));
  entered.Wait();
  QuantizeSpec spec = FromTensors({{"W", W()}});
  const auto queued = engine_->StartQuantize(spec);
  spec.name = "no name";
  EXPECT_EQ(Reason(engine_->StartQuantize(spec).status()), "NAME_INVALID");
  leave.Open();
  EXPECT_EQ(Await(queued).state, OperationState::kSucceeded);
  engine_->Shutdown();  // the upload goes after the operation's end
  EXPECT_TRUE(std::filesystem::is_empty(config_.data_dir + "/uploads"));
}

TEST_F(InputTest, FoldsTheMeanIntoAFlattenedHessian) {
  TensorMap tensors = {{"W", W()},
                       {"a.flatH", Floats({10}, std::vector<float>(10, 1))},
                       {"a.mu", Floats({3}, {1, 2, 3})}};
  EXPECT_EQ(Reason(Error(FromTensors(tensors, "a.flatH"))), "HESSIAN_SHAPE");
  tensors["a.mu"] = Floats({4}, {1, 2, NAN, 4});
  EXPECT_EQ(Reason(Error(FromTensors(tensors, "a.flatH"))), "NON_FINITE");
  tensors["a.mu"] = Floats({4}, {1, 2, 3, 4});
  EXPECT_TRUE(Error(FromTensors(tensors, "a.flatH")).ok());
}

TEST_F(InputTest, NamesTheFirstElementThatIsNotFinite) {
  std::vector<float> values(16, 1);
  values[6] = std::numeric_limits<float>::quiet_NaN();
  absl::Status status = Error(FromTensors({{"W", Floats({4, 4}, values)}}));
  EXPECT_EQ(Reason(status), "NON_FINITE");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("field"), "tensor W");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("got"), "NaN at [1, 2]");
  values[6] = std::numeric_limits<float>::infinity();
  status = Error(FromTensors({{"W", Floats({4, 4}, values)}}));
  EXPECT_EQ(GetErrorInfo(status).metadata.at("got"), "infinity at [1, 2]");
}

TEST_F(InputTest, RefusesTensorsThatAreNoMatrixOfFloats) {
  EXPECT_EQ(Reason(Error(FromTensors({{"W", Floats({16}, std::vector<float>(16, 1))}}))),
            "TENSOR_SHAPE_UNSUPPORTED");
  EXPECT_EQ(Reason(Error(FromTensors(
                {{"W", HostTensor::Take(DType::kI32, {4, 4}, std::vector<int32_t>(16))}}))),
            "TENSOR_DTYPE_UNSUPPORTED");
  EXPECT_EQ(Reason(Error(FromTensors({{"V", W()}}))), "TENSOR_NOT_FOUND");
  EXPECT_EQ(Reason(Error(FromTensors({{"W", Floats({4, 6}, std::vector<float>(24, 1))}}))),
            "SHAPE_UNSUPPORTED");
  EXPECT_EQ(Reason(Error(FromTensors({{"W", Floats({4, 4}, std::vector<float>(16, 0))}}))),
            "WEIGHTS_ALL_ZERO");
}

TEST_F(InputTest, TakesAHessianFullOrFlattened) {
  std::vector<float> identity(16, 0);
  for (int i = 0; i < 4; ++i) identity[i * 5] = 1;
  QuantizeSpec spec = FromTensors({{"W", W()}, {"H", Floats({4, 4}, identity)}}, "H");
  EXPECT_TRUE(Error(spec).ok());
  spec = FromTensors({{"W", W()}, {"flatH", Floats({10}, std::vector<float>(10, 1))}}, "flatH");
  spec.name = "v";
  EXPECT_TRUE(Error(spec).ok());
}

TEST_F(InputTest, RefusesABadHessian) {
  const auto reason = [&](HostTensor hessian) {
    return Reason(Error(FromTensors({{"W", W()}, {"H", std::move(hessian)}}, "H")));
  };
  EXPECT_EQ(reason(Floats({3, 3}, std::vector<float>(9, 1))), "HESSIAN_SHAPE");
  EXPECT_EQ(reason(Floats({11}, std::vector<float>(11, 1))), "HESSIAN_SHAPE");
  EXPECT_EQ(reason(Floats({10}, std::vector<float>(10, NAN))), "NON_FINITE");
  std::vector<float> lopsided(16, 1);
  lopsided[1] = 2;
  EXPECT_EQ(reason(Floats({4, 4}, lopsided)), "HESSIAN_NOT_SYMMETRIC");
  EXPECT_EQ(reason(HostTensor::Take(DType::kU8, {4, 4}, std::vector<uint8_t>(16))),
            "TENSOR_DTYPE_UNSUPPORTED");
}

TEST_F(InputTest, ReportsATruncatedFile) {
  std::vector<std::byte> bytes = *BuildSafetensors({{"W", W()}});
  bytes.resize(bytes.size() - 8);
  auto upload = *engine_->BeginUpload();
  ASSERT_TRUE(upload->Write(bytes).ok());
  QuantizeSpec spec = FromTensors({{"W", W()}});
  spec.tensor->file.upload_id = *upload->Finish(Sha256Hex(bytes));
  EXPECT_EQ(Reason(Error(spec)), "SAFETENSORS_INVALID");
}

// ---- Server paths ----

class ServerPathTest : public InputTest {
 protected:
  void SetUp() override {
    allowed_ = directory_ / "allowed";
    std::filesystem::create_directory(allowed_);
    config_.server_paths = {allowed_};
    InputTest::SetUp();
    Write(allowed_ + "/w.safetensors");
    Write(directory_ / "secret.safetensors");
  }
  void Write(const std::string& path) {
    const std::vector<std::byte> bytes = *BuildSafetensors({{"W", W()}});
    std::ofstream(path).write(reinterpret_cast<const char*>(bytes.data()),
                              static_cast<std::streamsize>(bytes.size()));
  }
  std::string ReasonFor(const std::string& path) {
    QuantizeSpec spec = FromTensors({{"W", W()}});
    spec.tensor->file = {.server_path = path};
    return QuantizeReason(spec);
  }
  std::string allowed_;
};

TEST_F(ServerPathTest, ReadsBelowAnAllowedDirectory) {
  EXPECT_EQ(ReasonFor(allowed_ + "/w.safetensors"), "");
}

TEST_F(ServerPathTest, RefusesEverythingElse) {
  std::filesystem::create_symlink(directory_ / "secret.safetensors", allowed_ + "/link");
  for (const std::string& path :
       {directory_ / "secret.safetensors", allowed_ + "/../secret.safetensors", allowed_ + "/link",
        std::string("w.safetensors"), directory_ / "missing", allowed_ + "2/w.safetensors"}) {
    EXPECT_EQ(ReasonFor(path), "SERVER_PATH_NOT_ALLOWED") << path;
  }
  EXPECT_EQ(ReasonFor(allowed_ + "/missing"), "FILE_NOT_FOUND");
  EXPECT_EQ(ReasonFor(""), "FILE_SOURCE_INVALID");
}

// ---- Imports ----

TEST_F(InputTest, ImportsTheOnlyLayerOfAFile) {
  const ImportSpec spec = Import({{"model.q_proj.rounded", W()}, {"model.norm.weight", W()}});
  const OperationRecord done = Await(engine_->StartImport(spec));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  const ArtifactRecord record = *engine_->GetArtifact("imported");
  EXPECT_EQ(record.shape, (Shape{4, 4}));
  EXPECT_EQ(record.source, "import model.safetensors prefix=model.q_proj.");
  EXPECT_FALSE(record.quality.has_value());
  EXPECT_EQ(Await(engine_->StartBenchmark(Bench("imported"))).state, OperationState::kSucceeded);
}

TEST_F(InputTest, ImportPicksALayerByPrefix) {
  const TensorMap tensors = {{"a.rounded", W()},
                             {"b.rounded", Floats({4, 8}, std::vector<float>(32, 1))}};
  ImportSpec spec = Import(tensors);
  const absl::Status ambiguous = Error(spec);
  EXPECT_EQ(Reason(ambiguous), "LAYER_AMBIGUOUS");
  EXPECT_NE(std::string(ambiguous.message()).find("a., b."), std::string::npos) << ambiguous;
  spec = Import(tensors);
  spec.prefix = "c";
  EXPECT_EQ(Reason(Error(spec)), "LAYER_NOT_FOUND");
  spec = Import(tensors);
  spec.prefix = "b";  // its final dot may be left out
  ASSERT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetArtifact("imported")->shape, (Shape{4, 8}));
}

TEST_F(InputTest, ImportReportsAFileWithoutLayers) {
  EXPECT_EQ(Reason(Error(Import({{"weight", W()}}))), "LAYER_NOT_FOUND");
}

TEST_F(InputTest, ImportIfAbsentComparesTheLayer) {
  ImportSpec spec = Import({{"rounded", W()}});
  ASSERT_TRUE(Error(spec).ok());
  spec = Import({{"prefix.rounded", W()}});
  EXPECT_EQ(Reason(Error(spec)), "ARTIFACT_EXISTS");
  spec = Import({{"prefix.rounded", W()}});
  spec.if_absent = true;
  EXPECT_TRUE(Error(spec).ok());
  spec = Import({{"rounded", Floats({4, 4}, std::vector<float>(16, 9))}});
  spec.if_absent = true;
  EXPECT_EQ(Reason(Error(spec)), "ARTIFACT_RECIPE_DIFFERS");
}

TEST_F(InputTest, ARetryThatUploadsAgainIsTheSameRequest) {
  ImportSpec spec = Import({{"rounded", W()}});
  spec.request_id = "key";
  const auto first = engine_->StartImport(spec);
  Await(first);
  spec.file.upload_id = Upload({{"rounded", W()}});
  const auto second = engine_->StartImport(spec);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->id, first->id);
}

TEST_F(InputTest, ExportsThroughTheEngine) {
  ASSERT_TRUE(Error(Import({{"rounded", W()}})).ok());
  Gate done;
  absl::StatusOr<std::unique_ptr<ExportStream>> result = absl::UnknownError("not called");
  engine_->ExportArtifact("imported", ExportForm::kDense, [&](auto stream) {
    result = std::move(stream);
    done.Open();
  });
  done.Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT((*result)->total_bytes(), 64u);
}

TEST_F(InputTest, ExportOfAnUnknownArtifactSaysSo) {
  Gate done;
  std::string reason;
  engine_->ExportArtifact("none", ExportForm::kPacked, [&](auto stream) {
    reason = Reason(stream.status());
    done.Open();
  });
  done.Wait();
  EXPECT_EQ(reason, "ARTIFACT_NOT_FOUND");
}

}  // namespace
}  // namespace qtipd
