// qtipctl bench --artifact A[,B] --path dense,dequant,fused --batch 1,2 --cache rotate|cold|hot
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "client/activations.h"
#include "client/benchmark.h"
#include "client/commands/commands.h"
#include "client/parse.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/units.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr double kLongestSeconds = 1e9;

// 0 leaves a limit to the daemon.
struct BenchFlags {
  std::string artifacts;
  std::string paths;
  std::string batches = "1";
  std::string cache = "rotate";
  std::string seed = "0";
  int64_t samples = 0;
  int64_t min_samples = 0;
  int64_t max_samples = 0;
  double precision = 0;
  double max_seconds = 0;
  std::string criterion;                // empty: the daemon's
  std::vector<std::string> parameters;  // KEY=VALUE
  bool lock_clocks = false;
  std::string activations;  // empty: the device's compute dtype
};

// The daemon knows the criteria and their parameters; here a value has only to be a number.
absl::Status FillParameters(const std::vector<std::string>& texts, v1::StoppingRule& rule) {
  for (const std::string& text : texts) {
    QTIPD_ASSIGN_OR_RETURN(const auto pair, ParseKeyValue("--stopping", text));
    double value = 0;
    if (!absl::SimpleAtod(pair.second, &value)) {
      return UsageError("--stopping", "'" + text + "'", "KEY=VALUE with a number as the value");
    }
    if (!rule.mutable_parameters()->insert({pair.first, value}).second) {
      return UsageError("--stopping", "'" + pair.first + "' more than once", "each key once");
    }
  }
  return absl::OkStatus();
}

absl::Status FillStopping(const BenchFlags& flags, v1::StoppingRule& rule) {
  rule.set_samples(flags.samples);
  rule.set_min_samples(flags.min_samples);
  rule.set_max_samples(flags.max_samples);
  rule.set_relative_half_width(flags.precision);
  rule.set_criterion(flags.criterion);
  QTIPD_RETURN_IF_ERROR(FillParameters(flags.parameters, rule));
  if (flags.max_seconds == 0) return absl::OkStatus();
  // Written so that NaN, too, is refused: no Duration can hold it.
  if (!(flags.max_seconds > 0 && flags.max_seconds <= kLongestSeconds)) {
    return UsageError("--max-seconds", ExactNumber(flags.max_seconds),
                      "a positive number of seconds up to 1e9");
  }
  const double whole = std::floor(flags.max_seconds);
  rule.mutable_timeout()->set_seconds(static_cast<int64_t>(whole));
  rule.mutable_timeout()->set_nanos(static_cast<int32_t>((flags.max_seconds - whole) * 1e9));
  return absl::OkStatus();
}

absl::StatusOr<v1::StartBenchmarkRequest> MakeRequest(const Session& session,
                                                      const BenchFlags& flags) {
  v1::StartBenchmarkRequest request;
  request.set_device(session.options().device);
  if (!flags.paths.empty()) {
    QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> paths, ParseList("--path", flags.paths));
    request.mutable_paths()->Assign(paths.begin(), paths.end());
  }
  QTIPD_ASSIGN_OR_RETURN(const std::vector<int64_t> batches,
                         ParseIntegers("--batch", flags.batches));
  request.mutable_batches()->Assign(batches.begin(), batches.end());
  QTIPD_ASSIGN_OR_RETURN(const v1::CacheMode mode, ParseCacheMode("--cache", flags.cache));
  request.set_cache_mode(mode);
  QTIPD_ASSIGN_OR_RETURN(const uint64_t seed, ParseSeed("--seed", flags.seed));
  request.set_seed(seed);
  QTIPD_RETURN_IF_ERROR(FillStopping(flags, *request.mutable_stopping()));
  request.set_lock_clocks(flags.lock_clocks);
  request.set_activation_dtype(ActivationName(flags.activations));
  return request;
}

absl::StatusOr<int> Bench(Session& session, const BenchFlags& flags) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> artifacts,
                         ParseList("--artifact", flags.artifacts));
  QTIPD_ASSIGN_OR_RETURN(v1::StartBenchmarkRequest request, MakeRequest(session, flags));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  std::vector<v1::Run> runs;
  for (const std::string& artifact : artifacts) {
    request.set_artifact(artifact);
    QTIPD_ASSIGN_OR_RETURN(runs.emplace_back(), RunBenchmark(session, *connection, request));
  }
  PresentRuns(session, runs);
  return JudgeRuns(session, runs);
}

}  // namespace

void AddBenchCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* verb = AddVerb(root, "bench", "Measure the inference paths of artefacts");
  verb->add_option("--artifact", flags->artifacts, "Names, separated by commas")->required();
  verb->add_option("--path", flags->paths, "dense,dequant,fused; all if not given");
  verb->add_option("--batch", flags->batches, "Batch sizes, separated by commas")
      ->capture_default_str();
  verb->add_option(
          "--cache", flags->cache,
          "rotate: copies rotate, so that the cache is cold; cold: it is flushed; hot: one "
          "copy")
      ->capture_default_str();
  verb->add_option("--samples", flags->samples, "Exactly that many samples, and no other rule");
  verb->add_option("--stopping-criterion", flags->criterion,
                   "ci-width (default), stdrel, entropy, sample-count");
  verb->add_option("--stopping", flags->parameters, "KEY=VALUE of the criterion; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--min-samples", flags->min_samples,
                   "At least that many (30 with ci-width, else 10)");
  verb->add_option("--max-samples", flags->max_samples,
                   "At most that many (10000 with ci-width, else 1000000)");
  verb->add_option(
      "--precision", flags->precision,
      "A result is stable once the 95 % interval is within this fraction of the median "
      "(0.005); ci-width stops there");
  verb->add_option("--max-seconds", flags->max_seconds, "Stop after that time for each cell (15)");
  verb->add_option("--activations", flags->activations,
                   "Their element type: bf16, or the device's own (f16 on a GPU, f32 on a CPU)");
  verb->add_option("--seed", flags->seed, "Of the activations (1)");
  verb->add_flag("--lock-clocks", flags->lock_clocks,
                 "Hold the device's clock at its default meanwhile; needs permission");
  verb->callback(
      [&action, flags] { action = [flags](Session& session) { return Bench(session, *flags); }; });
}

}  // namespace qtipd
