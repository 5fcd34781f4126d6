#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "kernels/api/error.h"
#include "server/engine/history/history_store.h"
#include "server/engine/history/sqlite.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason; }

class HistoryTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    history_.reset();
    auto history = OpenSqliteHistory(path_);
    ASSERT_TRUE(history.ok()) << history.status();
    history_ = *std::move(history);
  }

  static ArtifactRecord AnArtifact(const std::string& name) {
    ArtifactRecord record;
    record.name = name;
    record.sha256 = "abc";
    record.format = "qtip";
    record.options = Options({{"bits", int64_t{2}},
                              {"scale_override", 1.0},
                              {"code", std::string("hyb")},
                              {"flag", true}});
    record.shape = {128, 64};
    record.packed_bytes = 1000;
    record.bits_per_weight = 2.125;
    record.seed = std::numeric_limits<uint64_t>::max();
    record.quality =
        Quality{.weight_mse = 0.1, .relative_weight_mse = 0.07, .proxy_error = 1.0 / 3};
    record.quantize_step_seconds = {{"viterbi", 1.5}, {"block_ldl", 0.25}};
    record.scale_trials = {{.scale = 0.9, .error = 0.0717}, {.scale = 0.98, .error = 0.0709}};
    record.create_time = 1234;
    return record;
  }
  static OperationRecord AnOperation() {
    OperationRecord operation;
    operation.kind = "quantize";
    operation.target = "w";
    operation.revision = 1;
    return operation;
  }
  std::string InsertOperation(OperationState state = OperationState::kQueued) {
    OperationRecord operation = AnOperation();
    operation.state = state;
    return *history_->InsertOperation(operation, {});
  }

  TempDir directory_;
  const std::string path_ = directory_ / "history.sqlite";
  std::unique_ptr<HistoryStore> history_;
};

TEST_F(HistoryTest, ArtifactsComeBackAsTheyWere) {
  const ArtifactRecord in = AnArtifact("w");
  ASSERT_TRUE(history_->InsertArtifact(in).ok());
  Open();
  const auto out = history_->GetArtifact("w");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->options, in.options);
  EXPECT_EQ(out->shape, in.shape);
  EXPECT_EQ(out->seed, in.seed);
  EXPECT_EQ(out->quality->proxy_error, in.quality->proxy_error);
  EXPECT_EQ(out->quantize_step_seconds, in.quantize_step_seconds);
  ASSERT_EQ(out->scale_trials.size(), in.scale_trials.size());
  for (size_t i = 0; i < in.scale_trials.size(); ++i) {
    EXPECT_EQ(out->scale_trials[i].scale, in.scale_trials[i].scale);
    EXPECT_EQ(out->scale_trials[i].error, in.scale_trials[i].error);
  }
}

TEST_F(HistoryTest, AnImportHasNoQuality) {
  ArtifactRecord record = AnArtifact("w");
  record.quality.reset();
  ASSERT_TRUE(history_->InsertArtifact(record).ok());
  EXPECT_FALSE(history_->GetArtifact("w")->quality.has_value());
}

TEST_F(HistoryTest, RefusesADuplicateName) {
  ASSERT_TRUE(history_->InsertArtifact(AnArtifact("w")).ok());
  EXPECT_EQ(Reason(history_->InsertArtifact(AnArtifact("w"))), "ARTIFACT_EXISTS");
}

TEST_F(HistoryTest, SuggestsANearName) {
  ASSERT_TRUE(history_->InsertArtifact(AnArtifact("layer0")).ok());
  const absl::Status status = history_->GetArtifact("layer1").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(std::string(status.message()).find("did you mean layer0?"), std::string::npos);
}

TEST_F(HistoryTest, ListsArtifactsByNameInPages) {
  for (const char* name : {"c", "a", "b"}) {
    ASSERT_TRUE(history_->InsertArtifact(AnArtifact(name)).ok());
  }
  const auto first = history_->ListArtifacts({.page_size = 2});
  ASSERT_EQ(first->items.size(), 2u);
  EXPECT_EQ(first->items[1].name, "b");
  const auto second =
      history_->ListArtifacts({.page_size = 2, .page_token = first->next_page_token});
  ASSERT_EQ(second->items.size(), 1u);
  EXPECT_EQ(second->items[0].name, "c");
  EXPECT_EQ(second->next_page_token, "");
}

TEST_F(HistoryTest, RefusesBadPages) {
  EXPECT_EQ(Reason(history_->ListArtifacts({.page_size = -1}).status()), "PAGE_SIZE_INVALID");
  EXPECT_EQ(Reason(history_->ListRuns({.page_token = "x"}).status()), "PAGE_TOKEN_INVALID");
  EXPECT_EQ(Reason(history_->ListOperations({.page_token = "-3"}).status()), "PAGE_TOKEN_INVALID");
}

TEST_F(HistoryTest, TotalsByFormat) {
  ASSERT_TRUE(history_->InsertArtifact(AnArtifact("a")).ok());
  ASSERT_TRUE(history_->InsertArtifact(AnArtifact("b")).ok());
  const auto totals = history_->ArtifactTotals();
  ASSERT_EQ(totals->size(), 1u);
  EXPECT_EQ(totals->at(0).count, 2);
  EXPECT_EQ(totals->at(0).bytes, 2000u);
  EXPECT_EQ(*history_->CountArtifactsOfFile("abc"), 2);
  ASSERT_TRUE(history_->DeleteArtifact("a").ok());
  EXPECT_EQ(*history_->CountArtifactsOfFile("abc"), 1);
  EXPECT_EQ(Reason(history_->DeleteArtifact("a")), "ARTIFACT_NOT_FOUND");
}

TEST_F(HistoryTest, RunsKeepTheirSamples) {
  BenchmarkResult result;
  result.path = "fused";
  result.batch = 4;
  result.activation_dtype = "BF16";
  result.cache_mode = CacheMode::kHot;
  result.stop_reason = StopReason::kTimeout;
  result.samples = {0.1, 1.0 / 3, 1e-300};
  result.sample_clock_hertz = {1.5e9, 0, 1.2e9};
  result.latency.modes = 2;
  result.latency.p95 = 0.25;
  result.wall_seconds = 1.5;
  result.steps = {{"input_rotation", 0.25, {}}, {"fused_decode", 0.5, 0.75}};
  result.relative_error = std::numeric_limits<double>::infinity();
  result.status = InvalidField("RESULT_INCORRECT", "f", "g", "a");
  RunRecord run;
  run.artifact = "w";
  run.environment = {{"driver", "580"}};
  run.results = {result};
  run.spec = BenchmarkSpec{.artifact = "w",
                           .paths = {"dense", "fused"},
                           .batches = {1, 4},
                           .cache_mode = CacheMode::kCold,
                           .seed = 7,
                           .stopping_parameters = {{"min-time", 0.25}},
                           .max_seconds = 3,
                           .activation_dtype = "BF16"};
  const std::string id = *history_->InsertRun(run);
  Open();
  const auto out = history_->GetRun(id);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->id, id);
  EXPECT_EQ(out->environment, run.environment);
  const BenchmarkResult& read = out->results.at(0);
  EXPECT_EQ(read.samples, result.samples);
  EXPECT_EQ(read.activation_dtype, "BF16");
  EXPECT_EQ(out->spec->activation_dtype, "BF16");
  EXPECT_EQ(read.sample_clock_hertz, result.sample_clock_hertz);
  EXPECT_EQ(read.latency.modes, 2);
  EXPECT_EQ(read.wall_seconds, 1.5);
  ASSERT_TRUE(out->spec.has_value());
  EXPECT_EQ(out->spec->paths, run.spec->paths);
  EXPECT_EQ(out->spec->batches, run.spec->batches);
  EXPECT_EQ(out->spec->cache_mode, CacheMode::kCold);
  EXPECT_EQ(out->spec->seed, 7u);
  EXPECT_EQ(out->spec->stopping_parameters, run.spec->stopping_parameters);
  EXPECT_EQ(out->spec->max_seconds, 3);
  EXPECT_EQ(read.latency.p95, 0.25);
  EXPECT_FALSE(read.latency.p99.has_value());
  EXPECT_TRUE(history_->ListRuns({})->items.at(0).results.at(0).sample_clock_hertz.empty());
  EXPECT_EQ(read.cache_mode, CacheMode::kHot);
  EXPECT_EQ(read.stop_reason, StopReason::kTimeout);
  EXPECT_EQ(read.steps.at(0).name, "input_rotation");
  EXPECT_FALSE(read.steps.at(0).alone_seconds.has_value());
  EXPECT_EQ(read.steps.at(1).alone_seconds, 0.75);
  EXPECT_TRUE(std::isnan(read.relative_error));  // JSON has no infinity
  EXPECT_EQ(GetErrorInfo(read.status).metadata, GetErrorInfo(result.status).metadata);
  EXPECT_EQ(Reason(history_->GetRun("999").status()), "RUN_NOT_FOUND");
  EXPECT_EQ(Reason(history_->GetRun("x").status()), "RUN_NOT_FOUND");
}

TEST_F(HistoryTest, RunsKeepTheirRooflineAndPhases) {
  BenchmarkResult result;
  result.roofline = Roofline{.limit = "cache_bandwidth",
                             .seconds = 1e-6,
                             .fraction = 0.25,
                             .limit_seconds = {{"cache_bandwidth", 1e-6}, {"launch", 5e-7}}};
  result.phases = PhaseBreakdown{.kernel_seconds = 5e-6,
                                 .shipped_kernel_seconds = 4.9e-6,
                                 .instrumented_overhead = 0.02,
                                 .phases = {{"loop", 4e-6, 0.8}}};
  RunRecord run;
  run.results = {result, BenchmarkResult()};
  const auto out = history_->GetRun(*history_->InsertRun(run));
  ASSERT_TRUE(out.ok()) << out.status();
  const BenchmarkResult& read = out->results.at(0);
  ASSERT_TRUE(read.roofline.has_value() && read.phases.has_value());
  EXPECT_EQ(read.roofline->limit, "cache_bandwidth");
  EXPECT_EQ(read.roofline->fraction, 0.25);
  EXPECT_EQ(read.roofline->limit_seconds, result.roofline->limit_seconds);
  EXPECT_EQ(read.phases->kernel_seconds, 5e-6);
  EXPECT_EQ(read.phases->shipped_kernel_seconds, 4.9e-6);
  EXPECT_EQ(read.phases->instrumented_overhead, 0.02);
  ASSERT_EQ(read.phases->phases.size(), 1u);
  EXPECT_EQ(read.phases->phases[0].name, "loop");
  EXPECT_EQ(read.phases->phases[0].fraction, 0.8);
  EXPECT_FALSE(out->results.at(1).roofline.has_value());
  EXPECT_FALSE(out->results.at(1).phases.has_value());
}

TEST_F(HistoryTest, ListsRunsNewestFirst) {
  for (const char* artifact : {"a", "b", "c"}) {
    RunRecord run;
    run.artifact = artifact;
    ASSERT_TRUE(history_->InsertRun(run).ok());
  }
  const auto first = history_->ListRuns({.page_size = 2});
  EXPECT_EQ(first->items.at(0).artifact, "c");
  const auto second = history_->ListRuns({.page_size = 2, .page_token = first->next_page_token});
  EXPECT_EQ(second->items.at(0).artifact, "a");
}

TEST_F(HistoryTest, FindsUnfinishedOperations) {
  InsertOperation(OperationState::kSucceeded);
  const std::string running = InsertOperation(OperationState::kRunning);
  Open();
  const auto unfinished = history_->UnfinishedOperations();
  ASSERT_EQ(unfinished->size(), 1u);
  EXPECT_EQ(unfinished->at(0).id, running);
}

TEST_F(HistoryTest, OperationIdsAreNeverUsedTwice) {
  const std::string first = InsertOperation();
  ASSERT_TRUE(history_->DeleteOperation(first).ok());
  EXPECT_NE(InsertOperation(), first);
  EXPECT_EQ(Reason(history_->GetOperation(first).status()), "OPERATION_NOT_FOUND");
}

TEST_F(HistoryTest, RemembersRequestIdsForAWhile) {
  const std::string id = *history_->InsertOperation(AnOperation(), {"key", "hash", 1000});
  const auto known = history_->FindRequest("key", 1000);
  ASSERT_TRUE(known->has_value());
  EXPECT_EQ((*known)->operation_id, id);
  EXPECT_EQ((*known)->spec_sha256, "hash");
  EXPECT_FALSE(history_->FindRequest("key", 1001)->has_value());
  ASSERT_TRUE(history_->Prune(1001, 100).ok());
  EXPECT_FALSE(history_->FindRequest("key", 0)->has_value());
}

TEST_F(HistoryTest, PruneKeepsTheNewestAndTheUnfinished) {
  const std::string unfinished = InsertOperation();
  for (int i = 0; i < 5; ++i) InsertOperation(OperationState::kSucceeded);
  ASSERT_TRUE(history_->Prune(0, 2).ok());
  const auto left = history_->ListOperations({});
  ASSERT_EQ(left->items.size(), 3u);
  EXPECT_EQ(left->items[2].id, unfinished);
}

TEST_F(HistoryTest, AModelAppearsWithAllItsArtifactsOrNot) {
  const ModelRecord model{.name = "m",
                          .format = "qtip",
                          .config = "{\"a\": 1}",
                          .absent_tensors = {"lm_head.weight"},
                          .source = "import dir",
                          .create_time = 7};
  ASSERT_TRUE(history_->InsertArtifact(AnArtifact("m/b")).ok());
  EXPECT_EQ(Reason(history_->InsertModel(model, {AnArtifact("m/a"), AnArtifact("m/b")})),
            "ARTIFACT_EXISTS");
  EXPECT_EQ(Reason(history_->GetArtifact("m/a").status()), "ARTIFACT_NOT_FOUND");
  EXPECT_FALSE(history_->GetModel("m")->has_value());
  ASSERT_TRUE(history_->InsertModel(model, {AnArtifact("m/a"), AnArtifact("m/c")}).ok());
  const std::optional<ModelRecord> read = *history_->GetModel("m");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->config, model.config);
  EXPECT_EQ(read->absent_tensors, model.absent_tensors);
  EXPECT_EQ(read->create_time, 7);
}

TEST_F(HistoryTest, AModelsArtifactsAreThoseBelowItsName) {
  for (const char* name : {"m", "m-1", "m/a", "m/b/c", "m0", "n/a"}) {
    ASSERT_TRUE(history_->InsertArtifact(AnArtifact(name)).ok());
  }
  std::vector<std::string> names;
  const std::vector<ArtifactRecord> below = *history_->ArtifactsOfModel("m");
  for (const ArtifactRecord& record : below) names.push_back(record.name);
  EXPECT_EQ(names, (std::vector<std::string>{"m/a", "m/b/c"}));
  ASSERT_TRUE(history_->DeleteModel("m").ok());
  EXPECT_TRUE(history_->ArtifactsOfModel("m")->empty());
  EXPECT_EQ(history_->ListArtifacts({})->items.size(), 4u);
}

TEST_F(HistoryTest, KeepsHessians) {
  HessianRecord record{.name = "h",
                       .sha256 = "abc",
                       .in_features = 32,
                       .tokens = 64,
                       .mean_diagonal = 0.5,
                       .stored_bytes = 4224,
                       .sources = {"file x tensor=t"},
                       .create_time = 1,
                       .update_time = 2};
  EXPECT_EQ(Reason(history_->UpdateHessian(record)), "HESSIAN_NOT_FOUND");
  ASSERT_TRUE(history_->InsertHessian(record).ok());
  EXPECT_EQ(Reason(history_->InsertHessian(record)), "HESSIAN_EXISTS");
  record.tokens = 128;
  ASSERT_TRUE(history_->UpdateHessian(record).ok());
  Open();
  const auto read = history_->GetHessian("h");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->tokens, 128);
  EXPECT_EQ(read->sources, record.sources);
  EXPECT_EQ(read->mean_diagonal, 0.5);
  EXPECT_EQ(*history_->CountHessiansOfFile("abc"), 1);
  EXPECT_EQ(history_->ListHessians({})->items.at(0).name, "h");
  ASSERT_TRUE(history_->DeleteHessian("h").ok());
  EXPECT_EQ(Reason(history_->DeleteHessian("h")), "HESSIAN_NOT_FOUND");
}

TEST_F(HistoryTest, OpensAHistoryOfTheFirstVersion) {
  RunRecord run;
  run.artifact = "w";
  run.results.emplace_back().samples = {0.5};
  const std::string id = *history_->InsertRun(run);
  history_.reset();
  // What the first version did not have.
  ASSERT_TRUE((*SqliteDatabase::Open(path_))
                  ->Run("ALTER TABLE results DROP COLUMN sample_clocks; DROP TABLE profiles;"
                        "DROP TABLE models; DROP TABLE hessians;"
                        "PRAGMA user_version=1")
                  .ok());
  Open();
  const auto read = history_->GetRun(id);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->results.at(0).samples, run.results[0].samples);
  EXPECT_TRUE(read->results.at(0).sample_clock_hertz.empty());
  EXPECT_TRUE(history_->InsertRun(run).ok());
}

TEST_F(HistoryTest, RefusesAHistoryOfALaterVersion) {
  history_.reset();
  ASSERT_TRUE((*SqliteDatabase::Open(path_))->Run("PRAGMA user_version=99").ok());
  EXPECT_EQ(Reason(OpenSqliteHistory(path_).status()), "HISTORY_TOO_NEW");
}

TEST_F(HistoryTest, ReportsAFileThatIsNoDatabase) {
  std::ofstream(directory_ / "other") << std::string(5000, 'x');
  EXPECT_EQ(Reason(OpenSqliteHistory(directory_ / "other").status()), "HISTORY_FAILED");
}

TEST_F(HistoryTest, AnUncommittedTransactionLeavesNothing) {
  auto database = *SqliteDatabase::Open(path_);
  {
    SqliteTransaction transaction(*database);
    ASSERT_TRUE(transaction.Begin().ok());
    ASSERT_TRUE(database
                    ->Run("INSERT INTO operations (kind, state, is_terminal, create_time, record) "
                          "VALUES ('k', 'QUEUED', 0, 0, '{}')")
                    .ok());
  }
  EXPECT_TRUE(history_->UnfinishedOperations()->empty());
}

}  // namespace
}  // namespace qtipd
