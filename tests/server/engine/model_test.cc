// Whole models and Hessians through the engine: all or nothing, and what is left behind.
#include <filesystem>
#include <fstream>

#include "kernels/io/checkpoint_directory.h"
#include "server/engine/store/model_store.h"
#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

class ModelTest : public EngineFixture {
 protected:
  void SetUp() override {
    allowed_ = directory_ / "allowed";
    std::filesystem::create_directories(allowed_ + "/model");
    config_.server_paths = {allowed_};
    EngineFixture::SetUp();
  }

  static HostTensor Ones(std::vector<int64_t> shape = {4, 4}) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    return Floats(std::move(shape), std::vector<float>(static_cast<size_t>(count), 1));
  }
  static TensorMap Layers() {
    return {{"a.q.rounded", Ones()}, {"a.v.rounded", Ones({4, 8})}, {"b.q.rounded", Ones({8, 4})}};
  }
  ImportSpec Uploaded(const TensorMap& tensors) {
    ImportSpec spec;
    spec.name = "m";
    spec.file.upload_id = Upload(tensors);
    spec.model_config = "fake model";
    spec.absent_tensors = {"norm.weight"};
    spec.display_name = "dir";
    return spec;
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(allowed_ + "/model/" + name) << text;
  }
  void WriteTensors(const std::string& name, const TensorMap& tensors) {
    const std::vector<std::byte> bytes = *BuildSafetensors(tensors);
    Write(name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  ImportSpec Served() {
    ImportSpec spec;
    spec.name = "m";
    spec.file.server_path = allowed_ + "/model";
    return spec;
  }
  absl::Status Error(const ImportSpec& spec) { return Await(engine_->StartImport(spec)).error; }

  size_t FilesIn(const std::string& folder) {
    const std::filesystem::directory_iterator files(config_.data_dir + "/" + folder);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  void ExpectNothing() {
    EXPECT_TRUE(engine_->ListArtifacts({})->items.empty());
    EXPECT_EQ(FilesIn("artifacts"), 0u);
    EXPECT_EQ(Reason(engine_->GetModel("m").status()), "MODEL_NOT_FOUND");
  }

  std::string allowed_;
};

TEST_F(ModelTest, OneArtifactALinear) {
  const OperationRecord done = Await(engine_->StartImport(Uploaded(Layers())));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  EXPECT_EQ(done.kind, "import_model");
  EXPECT_EQ(done.result, "m");
  const auto model = engine_->GetModel("m");
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->layers.size(), 3u);
  EXPECT_EQ(model->layers[1].first, "a.v.");
  EXPECT_EQ(model->layers[1].second.name, "m/a.v");
  EXPECT_EQ(model->layers[1].second.source, "import dir prefix=a.v.");
  EXPECT_EQ(model->record.config, "fake model of 3");
  EXPECT_EQ(model->record.absent_tensors, std::vector<std::string>{"norm.weight"});
  ASSERT_TRUE(engine_->DeleteModel("m").ok());
  ExpectNothing();
}

TEST_F(ModelTest, ReadsADirectoryOfTheServer) {
  Write("config.json", "fake model");
  WriteTensors("x.safetensors", {{"a.q.rounded", Ones()}, {"norm.weight", Ones()}});
  WriteTensors("y.safetensors", {{"b.q.rounded", Ones()}});
  Write(kTensorIndexFile, TensorIndexText({{"a.q.rounded", "x.safetensors"},
                                           {"norm.weight", "x.safetensors"},
                                           {"b.q.rounded", "y.safetensors"}},
                                          192));
  ASSERT_TRUE(Error(Served()).ok());
  EXPECT_EQ(engine_->GetModel("m")->layers.size(), 2u);
  EXPECT_EQ(engine_->GetModel("m")->record.absent_tensors, std::vector<std::string>{"norm.weight"});
  ImportSpec whole = Served();  // the allowed directory itself
  whole.name = "n";
  whole.file.server_path = allowed_;
  EXPECT_EQ(Reason(Error(whole)), "FILE_NOT_FOUND");
}

TEST_F(ModelTest, ADirectorysLinksStayInAllowedDirectories) {
  Write("config.json", "fake model");
  std::ofstream(directory_ / "secret") << "secret";
  std::filesystem::create_symlink(directory_ / "secret", allowed_ + "/model/model.safetensors");
  EXPECT_EQ(Reason(Error(Served())), "SERVER_PATH_NOT_ALLOWED");
  std::filesystem::remove(allowed_ + "/model/model.safetensors");
  WriteTensors("blob", {{"a.q.rounded", Ones()}});
  std::filesystem::create_symlink("blob", allowed_ + "/model/model.safetensors");
  EXPECT_TRUE(Error(Served()).ok());
}

TEST_F(ModelTest, ALinearThatIsRefusedTakesTheOthersAlong) {
  TensorMap tensors = Layers();
  tensors["b.q.rounded"] = Ones({16});
  const absl::Status status = Error(Uploaded(tensors));
  EXPECT_EQ(Reason(status), "CHECKPOINT_INVALID");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("field"), "b.q.rounded");
  ExpectNothing();
}

TEST_F(ModelTest, CancellingLeavesNothing) {
  Gate entered;
  Gate leave;
  format_->on_import = [&] {
    entered.Open();
    leave.Wait();
  };
  const auto started = engine_->StartImport(Uploaded(Layers()));
  ASSERT_TRUE(started.ok()) << started.status();
  entered.Wait();
  EXPECT_TRUE(engine_->ListArtifacts({})->items.empty());  // none before the end
  ASSERT_TRUE(engine_->CancelOperation(started->id).ok());
  leave.Open();
  EXPECT_EQ(Await(*started).state, OperationState::kCancelled);
  ExpectNothing();
}

TEST_F(ModelTest, AStagedFileOfACrashGoesAtTheNextStart) {
  std::ofstream(config_.data_dir + "/artifacts/.tmp-abc") << "half";
  std::ofstream(config_.data_dir + "/hessians/.tmp-abc") << "half";
  Open();
  EXPECT_EQ(FilesIn("artifacts"), 0u);
  EXPECT_EQ(FilesIn("hessians"), 0u);
}

TEST_F(ModelTest, ATakenNameIsToldBeforeAnythingIsRead) {
  ASSERT_TRUE(Error(Uploaded({{"a.v.rounded", Ones()}})).ok());
  int imports = 0;
  format_->on_import = [&] { ++imports; };
  EXPECT_EQ(Reason(Error(Uploaded(Layers()))), "ARTIFACT_EXISTS");
  EXPECT_EQ(imports, 0);
  EXPECT_EQ(engine_->ListArtifacts({})->items.size(), 1u);
  ImportSpec spec = Uploaded({{"a.q.rounded", Ones()}, {"a.v.rounded", Ones()}});
  spec.if_absent = true;
  EXPECT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetModel("m")->layers.size(), 2u);
  Quantize("n");
  spec = Uploaded(Layers());
  spec.name = "n";  // would be hidden by the artefact
  EXPECT_EQ(Reason(Error(spec)), "ARTIFACT_EXISTS");
}

TEST_F(ModelTest, OfOneConfigPartsMayFollow) {
  ImportSpec spec = Uploaded(Layers());
  spec.prefix = "a";
  ASSERT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetModel("m")->record.absent_tensors,
            (std::vector<std::string>{"b.q.rounded", "norm.weight"}));
  spec = Uploaded(Layers());
  spec.prefix = "b";
  EXPECT_EQ(Reason(Error(spec)), "ARTIFACT_EXISTS");  // the model, none of the layers
  spec = Uploaded(Layers());
  spec.prefix = "b";
  spec.if_absent = true;
  ASSERT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetModel("m")->layers.size(), 3u);
  EXPECT_EQ(engine_->GetModel("m")->record.absent_tensors, std::vector<std::string>{"norm.weight"});
}

TEST_F(ModelTest, AnotherModelDoesNotTakeTheName) {
  ASSERT_TRUE(Error(Uploaded({{"a.q.rounded", Ones()}})).ok());
  ImportSpec spec = Uploaded({{"b.q.rounded", Ones()}});
  spec.model_config = "fake model too";
  spec.if_absent = true;
  const absl::Status status = Error(spec);
  EXPECT_EQ(Reason(status), "ARTIFACT_RECIPE_DIFFERS");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("field"), "config.json");
  EXPECT_EQ(engine_->GetModel("m")->layers.size(), 1u);
  EXPECT_EQ(FilesIn("artifacts"), 1u);
  // Nothing is left of it once its artefacts are gone.
  ASSERT_TRUE(engine_->DeleteArtifact("m/a.q").ok());
  spec = Uploaded({{"b.q.rounded", Ones()}});
  spec.model_config = "fake model too";
  spec.absent_tensors = {};
  ASSERT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetModel("m")->record.config, "fake model too of 1");
  EXPECT_TRUE(engine_->GetModel("m")->record.absent_tensors.empty());
}

TEST(IsSameConfig, ComparesWhatJsonMeans) {
  EXPECT_TRUE(IsSameConfig("no JSON", "no JSON"));
  EXPECT_FALSE(IsSameConfig("no JSON", "nor this"));
  EXPECT_TRUE(IsSameConfig(R"({"a": 1, "b": [2]})", R"({"b":[2],"a":1})"));
  EXPECT_FALSE(IsSameConfig(R"({"a": 1})", R"({"a": 2})"));
}

TEST_F(ModelTest, APrefixTakesAPart) {
  ImportSpec spec = Uploaded(Layers());
  spec.prefix = "a";
  ASSERT_TRUE(Error(spec).ok());
  EXPECT_EQ(engine_->GetModel("m")->layers.size(), 2u);
  spec = Uploaded(Layers());
  spec.prefix = "a.q.r";
  spec.name = "n";
  EXPECT_EQ(Reason(Error(spec)), "LAYER_NOT_FOUND");
}

TEST_F(ModelTest, RefusesWhatIsNoModel) {
  ImportSpec spec = Uploaded(Layers());
  spec.model_config = "other";
  EXPECT_EQ(Reason(Error(spec)), "MODEL_CONFIG_INVALID");
  spec = Uploaded(Layers());
  spec.format = "other";
  EXPECT_EQ(Reason(Error(spec)), "FORMAT_UNKNOWN");
  spec = Uploaded(Layers());
  spec.options = {{"bits", int64_t{2}}};
  EXPECT_EQ(Reason(Error(spec)), "OPTION_INVALID");
  spec = Uploaded(Layers());
  spec.name = "no name";
  EXPECT_EQ(Reason(Error(spec)), "NAME_INVALID");
  EXPECT_EQ(Reason(engine_->DeleteModel("m")), "MODEL_NOT_FOUND");
  ExpectNothing();
  engine_->Shutdown();  // an upload goes after its operation's end
  EXPECT_EQ(FilesIn("uploads"), 0u);
}

// ---- Hessians ----

class HessianTest : public ModelTest {
 protected:
  CalibrateSpec Calibrate(HostTensor x, bool add = false) {
    CalibrateSpec spec;
    spec.name = "h";
    spec.file.upload_id = Upload({{"X", std::move(x)}});
    spec.tensor = "X";
    spec.add = add;
    spec.display_name = "x.safetensors";
    return spec;
  }
  std::string Reason(const CalibrateSpec& spec) {
    return qtipd::Reason(Await(engine_->StartCalibrate(spec)).error);
  }
  QuantizeSpec WithHessian(const std::string& name) {
    QuantizeSpec spec;
    spec.name = "w";
    spec.format = "fake";
    spec.tensor = TensorSource{.file = {.upload_id = Upload({{"W", Ones()}})}, .tensor = "W"};
    spec.tensor->hessian_name = name;
    return spec;
  }
};

TEST_F(HessianTest, KeepsSumAndTokens) {
  const OperationRecord done =
      Await(engine_->StartCalibrate(Calibrate(Floats({2, 4}, {1, 2, 3, 4, 1, 0, 1, 0}))));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  const HessianRecord record = *engine_->GetHessian("h");
  EXPECT_EQ(record.in_features, 4);
  EXPECT_EQ(record.tokens, 2);
  EXPECT_EQ(record.mean_diagonal, 32.0 / 8);
  EXPECT_EQ(record.sources, std::vector<std::string>{"file x.safetensors tensor=X"});
  const auto file =
      ReadSafetensors(config_.data_dir + "/hessians/" + record.sha256 + ".safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.at("sum").dtype(), DType::kF64);
  EXPECT_EQ(file->tensors.at("sum").ToFloat(),
            (std::vector<float>{2, 2, 4, 4, 6, 10, 4, 8, 12, 16}));
}

TEST_F(HessianTest, AddingReplacesTheFile) {
  ASSERT_EQ(Await(engine_->StartCalibrate(Calibrate(Ones({2, 4})))).state,
            OperationState::kSucceeded);
  const std::string before = engine_->GetHessian("h")->sha256;
  ASSERT_EQ(Await(engine_->StartCalibrate(Calibrate(Ones({3, 4}), true))).state,
            OperationState::kSucceeded);
  EXPECT_EQ(engine_->GetHessian("h")->tokens, 5);
  EXPECT_EQ(engine_->GetHessian("h")->mean_diagonal, 1);
  EXPECT_NE(engine_->GetHessian("h")->sha256, before);
  EXPECT_EQ(FilesIn("hessians"), 1u);
  ASSERT_TRUE(engine_->DeleteHessian("h").ok());
  EXPECT_EQ(FilesIn("hessians"), 0u);
}

TEST_F(HessianTest, ARefusalLeavesTheOldOne) {
  ASSERT_EQ(Await(engine_->StartCalibrate(Calibrate(Ones({2, 4})))).state,
            OperationState::kSucceeded);
  const std::string before = engine_->GetHessian("h")->sha256;
  EXPECT_EQ(Reason(Calibrate(Ones())), "HESSIAN_EXISTS");
  CalibrateSpec nameless = Calibrate(Ones(), true);
  nameless.tensor = "";
  EXPECT_EQ(Reason(nameless), "TENSOR_NAME_MISSING");
  EXPECT_EQ(Reason(Calibrate(Ones({2, 8}), true)), "HESSIAN_SHAPE");
  EXPECT_EQ(Reason(Calibrate(Floats({1, 4}, {1, 2, NAN, 4}), true)), "NON_FINITE");
  EXPECT_EQ(Reason(Calibrate(Ones({4}), true)), "TENSOR_SHAPE_UNSUPPORTED");
  EXPECT_EQ(Reason(Calibrate(HostTensor::Take(DType::kI32, {1, 4}, std::vector<int32_t>(4)), true)),
            "TENSOR_DTYPE_UNSUPPORTED");
  EXPECT_EQ(engine_->GetHessian("h")->sha256, before);
  EXPECT_EQ(FilesIn("hessians"), 1u);
}

TEST_F(HessianTest, QuantizesWithACalibratedOne) {
  ASSERT_EQ(Await(engine_->StartCalibrate(Calibrate(Ones({2, 4})))).state,
            OperationState::kSucceeded);
  const OperationRecord done = Await(engine_->StartQuantize(WithHessian("h")));
  ASSERT_EQ(done.state, OperationState::kSucceeded) << done.error;
  EXPECT_EQ(engine_->GetArtifact("w")->source, "file upload tensor=W hessian=@h");
  EXPECT_EQ(QuantizeReason(WithHessian("g")), "HESSIAN_NOT_FOUND");
  std::filesystem::remove_all(config_.data_dir + "/hessians");
  QuantizeSpec spec = WithHessian("h");
  spec.name = "v";
  EXPECT_EQ(QuantizeReason(spec), "HESSIAN_FILE_DAMAGED");
}

TEST_F(HessianTest, ItsWidthMustBeThatOfTheWeights) {
  ASSERT_EQ(Await(engine_->StartCalibrate(Calibrate(Ones({2, 8})))).state,
            OperationState::kSucceeded);
  EXPECT_EQ(QuantizeReason(WithHessian("h")), "HESSIAN_SHAPE");
}

}  // namespace
}  // namespace qtipd
