#include "client/model_directory.h"

#include <gtest/gtest.h>

#include "client/model_view.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

CheckpointDirectory Directory() {
  CheckpointDirectory directory{.config = "{}", .tensors = {}};
  for (const char* name : {"l.1.q.trellis", "l.1.q.SU", "l.2.q.trellis", "l.2.norm.weight",
                           "l.2.o.weight", "l.2.o.bias"}) {
    directory.tensors[name] = HostTensor::Take(DType::kF32, {1}, std::vector<float>{1});
  }
  return directory;
}

TEST(SelectModelTensors, SendsQuantizedLayersAndNamesTheRest) {
  v1::StartImportRequest request;
  const auto sent = SelectModelTensors(Directory(), "", "d", request);
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(sent->size(), 3u);
  EXPECT_EQ(request.model_config(), "{}");
  EXPECT_EQ(
      std::vector<std::string>(request.absent_tensors().begin(), request.absent_tensors().end()),
      (std::vector<std::string>{"l.2.norm.weight", "l.2.o.bias", "l.2.o.weight"}));
}

TEST(SelectModelTensors, TakesAPartByItsPrefix) {
  v1::StartImportRequest request;
  EXPECT_EQ(SelectModelTensors(Directory(), "l.1", "d", request)->size(), 2u);
  EXPECT_EQ(request.prefix(), "l.1.");
  EXPECT_EQ(request.absent_tensors_size(), 4);
  EXPECT_EQ(GetErrorInfo(SelectModelTensors(Directory(), "l.3", "d", request).status()).reason,
            "PREFIX_NOT_FOUND");
}

TEST(CutIntoShards, FillsFilesWithWholeLayers) {
  EXPECT_EQ(CutIntoShards({}, 10), std::vector<int>());
  EXPECT_EQ(CutIntoShards({4, 4, 2}, 10), std::vector<int>{3});
  EXPECT_EQ(CutIntoShards({4, 4, 3, 7, 1}, 10), (std::vector<int>{2, 2, 1}));
  EXPECT_EQ(CutIntoShards({25, 1, 25}, 10), (std::vector<int>{1, 1, 1}));
}

TEST(ModelView, TellsWhatIsNotHeld) {
  v1::Model model;
  EXPECT_EQ(AbsentText(model), "");
  model.add_absent_tensors("a");
  EXPECT_EQ(AbsentText(model), "not held by the daemon: 1 tensor of the imported directory: a");
  for (const char* name : {"b", "c", "d", "e"}) model.add_absent_tensors(name);
  EXPECT_EQ(AbsentText(model),
            "not held by the daemon: 5 tensors of the imported directory: a, b, c and 2 more");
}

TEST(ModelView, NamesTheBiasesOfWhatIsHeld) {
  v1::Model model;
  model.add_layers()->set_prefix("l.1.q.");
  for (const char* name : {"a", "b", "c", "l.1.q.bias", "l.2.q.bias"})
    model.add_absent_tensors(name);
  EXPECT_EQ(AbsentText(model),
            "not held by the daemon: 5 tensors of the imported directory: a, b, c and 2 more\n"
            "of them 1 belongs to linears that are held, without what it adds to their outputs: "
            "l.1.q.bias");
}

}  // namespace
}  // namespace qtipd
