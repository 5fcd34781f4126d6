// Suites: benchmarks as data, compiled into qtipctl from client/suites/*.toml.
#ifndef QTIPD_CLIENT_SUITE_H_
#define QTIPD_CLIENT_SUITE_H_

#include <cstdint>
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
  v1::Shape shape;
  OptionMap options;  // all that differ from the suite's
  std::vector<int64_t> batches;
};

// "4096x14336 bits=2 code=hyb"
std::string SpeedCaseText(const SpeedCase& speed_case);

// One square matrix, quantized at several rates; every rate is benchmarked the same way. Or, where
// it has cells, a distortion table: every cell quantizes several matrices, and nothing is
// benchmarked. Or, where it has cases, a table of speeds.
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
  std::vector<SpeedCase> cases;
  int64_t repeats = 0;  // benchmarks of each case
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

// The request for the matrix of a case; its artefact is "suite/kernels/4096x14336/<options>".
v1::StartQuantizeRequest SpeedQuantizeRequest(const Suite& suite, const SpeedCase& speed_case);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_H_
