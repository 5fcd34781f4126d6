#include "kernels/api/registry.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

class StubPath final : public InferencePath {
 public:
  explicit StubPath(std::string id) : id_(std::move(id)) {}
  std::string_view id() const override { return id_; }
  std::string_view summary() const override { return ""; }
  uint64_t WeightBytesPerCopy(const ResidentWeights&, const Device&) const override { return 0; }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device&, ResidentWeights&,
                                                        const PathProblem&) const override {
    return absl::UnimplementedError("stub");
  }

 private:
  std::string id_;
};

class StubBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "lut"; }
  std::string_view backend_id() const override { return "cpu"; }
  absl::StatusOr<PackedLayer> Quantize(Device&, const QuantizeProblem&, Progress&,
                                       QuantizeReport&) const override {
    return absl::UnimplementedError("stub");
  }
  uint64_t LoadBytes(const PackedLayer&) const override { return 0; }
  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device&,
                                                        const PackedLayer&) const override {
    return absl::UnimplementedError("stub");
  }
};

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    registry_.AddPath(std::make_unique<StubPath>("dense"));
    registry_.AddPath(std::make_unique<StubPath>("fused"));
    registry_.AddFormatBackend(std::make_unique<StubBackend>());
  }
  Registry registry_;
};

TEST_F(RegistryTest, FindsWhatWasAdded) {
  EXPECT_EQ((*registry_.FindPath("fused"))->id(), "fused");
  EXPECT_EQ((*registry_.FindBackend("lut", "cpu"))->backend_id(), "cpu");
  EXPECT_EQ(registry_.paths().size(), 2u);
}

TEST_F(RegistryTest, NamesEveryKnownIdInItsErrors) {
  const absl::Status path = registry_.FindPath("fast").status();
  EXPECT_EQ(GetErrorInfo(path).reason, "PATH_UNKNOWN");
  EXPECT_EQ(path.message(), "path: got fast, allowed dense, fused");
  EXPECT_EQ(GetErrorInfo(registry_.FindFormat("qtip").status()).reason, "FORMAT_UNKNOWN");
}

TEST_F(RegistryTest, SaysWhichBackendsAFormatHas) {
  const absl::Status status = registry_.FindBackend("lut", "cuda").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(GetErrorInfo(status).reason, "FORMAT_NOT_ON_BACKEND");
  EXPECT_EQ(status.message(), "backend of format lut: got cuda, allowed cpu");
  EXPECT_NE(registry_.FindBackend("int4", "cpu").status().message().find("none in this build"),
            std::string::npos);
}

}  // namespace
}  // namespace qtipd
