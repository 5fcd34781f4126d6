#include "server/engine/store/hessian_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "kernels/api/error.h"
#include "server/engine/history/history_store.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

class HessianStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    history_ = *OpenSqliteHistory(directory_ / "history.sqlite");
    files_ = directory_ / "hessians";
    std::filesystem::create_directory(files_);
    store_ = std::make_unique<HessianStore>(files_, *history_);
  }
  // A Hessian of two features whose triangle is value, value, value.
  absl::Status Save(HessianRecord& record, const std::string& replaced, double value) {
    record.in_features = 2;
    return store_->Save(record, replaced, [&](const HessianStore::RowSink& sink) {
      const double values[] = {value, value, value};
      const absl::Status first = sink(std::span(values).first(1));
      return first.ok() ? sink(std::span(values).first(2)) : first;
    });
  }
  size_t Files() {
    const auto files = std::filesystem::directory_iterator(files_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  TempDir directory_;
  std::string files_;
  std::unique_ptr<HistoryStore> history_;
  std::unique_ptr<HessianStore> store_;
};

TEST_F(HessianStoreTest, KeepsWhatWasSavedAndReplacesItsFile) {
  HessianRecord record{.name = "h"};
  ASSERT_TRUE(Save(record, "", 1).ok());
  const std::string first = record.sha256;
  ASSERT_TRUE(Save(record, first, 2).ok());
  EXPECT_NE(record.sha256, first);
  EXPECT_EQ(Files(), 1u);
  const auto stored = store_->Open("h");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->record.sha256, record.sha256);
  EXPECT_EQ(stored->sum.bytes().size(), 24u);
}

TEST_F(HessianStoreTest, OfTwoThatAddToTheSameContentTheSecondIsRefused) {
  HessianRecord record{.name = "h"};
  ASSERT_TRUE(Save(record, "", 1).ok());
  HessianRecord one = record;
  HessianRecord other = record;
  ASSERT_TRUE(Save(one, record.sha256, 2).ok());
  const absl::Status refused = Save(other, record.sha256, 3);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(GetErrorInfo(refused).reason, "HESSIAN_CHANGED");
  EXPECT_EQ(store_->Get("h")->sha256, one.sha256);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(HessianStoreTest, ANameIsTakenOnce) {
  HessianRecord record{.name = "h"};
  ASSERT_TRUE(Save(record, "", 1).ok());
  EXPECT_EQ(GetErrorInfo(store_->CheckNewName("h")).reason, "HESSIAN_EXISTS");
  ASSERT_TRUE(store_->Delete("h").ok());
  EXPECT_TRUE(store_->CheckNewName("h").ok());
  EXPECT_EQ(Files(), 0u);
}

}  // namespace
}  // namespace qtipd
