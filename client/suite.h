// Suites: benchmarks as data, compiled into qtipctl from client/suites/*.toml.
#ifndef QTIPD_CLIENT_SUITE_H_
#define QTIPD_CLIENT_SUITE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/artifact_view.h"
#include "qtipd/v1/benchmark.pb.h"
#include "qtipd/v1/quantize.pb.h"

namespace qtipd {

// One entry of a distortion table.
struct DistortionCell {
  OptionMap options;     // all that differ from the suite's
  double published = 0;  // relative squared error
  std::optional<double> published_error;
};

// One matrix of a table of speeds, benchmarked at several batches.
struct SpeedCase {
  std::string format;
  std::string distribution;  // of the weights; empty: normal
  v1::Shape shape;
  OptionMap options;  // all that differ from the suite's
  std::vector<int64_t> batches;
  std::string activations;  // "BF16"; empty: the device's compute dtype
};

// "4096x14336 qtip bits=2 code=hyb", with the distribution behind it where it is not normal, and
// "activations=BF16" where they are not of the device's compute dtype.
std::string SpeedCaseText(const SpeedCase& speed_case);

// Cases for every shape, distribution, dtype of activations and combination of the options' values.
struct SpeedGroup {
  std::string format;
  std::vector<std::string> distributions = {""};
  std::vector<std::string> activations = {""};
  std::vector<v1::Shape> shapes;
  std::map<std::string, std::vector<v1::OptionValue>> options;
  std::vector<int64_t> batches;
};

// What a table of speeds tells beside its rows.
enum class SpeedReport {
  kSpeeds,    // the fused kernel by itself, and from which batch on it hands over
  kTinyGemm,  // shares of the device's peak, and whether the findings of tiny-gemm hold
  kSweep,     // nothing
  kFrontier,  // which cases no other beats in size, error and speed
};

// One square matrix, quantized at several rates; every rate is benchmarked the same way. Or, where
// it has cells, a distortion table: every cell quantizes several matrices, and nothing is
// benchmarked. Or, where it has groups of cases, a table of speeds.
struct Suite {
  std::string name;
  std::string summary;
  std::string format;
  std::vector<int64_t> bits;
  int64_t size = 0;                     // out_features and in_features
  uint64_t seed = 0;                    // of the weights and the signs
  OptionMap options;                    // besides bits
  v1::StartBenchmarkRequest benchmark;  // without artefact, device and request id
  std::vector<DistortionCell> cells;
  int64_t matrices = 0;  // a cell, each with a seed of its own from `seed` on
  std::vector<SpeedGroup> groups;
  int64_t repeats = 0;  // benchmarks of each case
  SpeedReport report = SpeedReport::kSpeeds;
};

// A suite's file as it was compiled in.
struct SuiteSource {
  std::string_view file;
  std::string_view text;
};
std::vector<SuiteSource> BuiltinSuites();

// Errors: SUITE_INVALID, naming the file, the key and what is allowed.
absl::StatusOr<Suite> ParseSuite(const SuiteSource& source);

// Errors: NotFound/SUITE_NOT_FOUND with the names there are.
absl::StatusOr<Suite> FindSuite(const std::string& name);

// "suite/qtip-eval/4096/k2"
std::string SuiteArtifactName(const Suite& suite, int64_t bits);

// The request that makes an artefact, or finds it there from an earlier run.
v1::StartQuantizeRequest SuiteQuantizeRequest(const Suite& suite, int64_t bits);

// The request for matrix `index` of a cell; its artefact is
// "suite/distortion/256/<options>/<index>".
v1::StartQuantizeRequest DistortionQuantizeRequest(const Suite& suite, const DistortionCell& cell,
                                                   int64_t index);

// The request for the matrix of a case; its artefact is
// "suite/kernels/4096x14336/qtip_<options>".
v1::StartQuantizeRequest SpeedQuantizeRequest(const Suite& suite, const SpeedCase& speed_case);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_H_
