// Prints how long quantizing takes, step by step, on one device.
//
//   encoder_speed MODULE|cpu OUTxIN CODE:BITS...
//
// W from N(0, 1); H dense, random and positive definite: 16 outer products of N(0, 1) vectors and a
// diagonal. Two runs of each; both are printed, for the first loads libraries. With
// QTIPD_BENCH_AVX2 set, the CPU uses no instructions beyond AVX2.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "hwy/highway.h"
#include "kernels/api/backend.h"
#include "kernels/api/builtin.h"
#include "kernels/api/random.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_backend.h"

namespace qtipd {
namespace {

constexpr int kProducts = 16;
constexpr int kRuns = 2;

std::vector<float> Normal(uint64_t seed, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  FillNormal(seed, RandomStream::kTest, 0, values);
  return values;
}

std::vector<float> RandomHessian(int64_t n) {
  const std::vector<float> factors = Normal(2, kProducts * n);
  std::vector<float> hessian(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = i == j ? kProducts : 0;
      for (int k = 0; k < kProducts; ++k) sum += factors[k * n + i] * factors[k * n + j];
      hessian[i * n + j] = sum;
    }
  }
  return hessian;
}

absl::StatusOr<Shape> ParseShape(const std::string& text) {
  char* rest = nullptr;
  Shape shape;
  shape.out_features = std::strtoll(text.c_str(), &rest, 10);
  if (*rest == 'x') shape.in_features = std::strtoll(rest + 1, &rest, 10);
  if (shape.out_features > 0 && shape.in_features > 0 && *rest == '\0') return shape;
  return absl::InvalidArgumentError("shape: got " + text + ", allowed OUTxIN");
}

absl::Status Run(Device& device, const Registry& registry, const QuantizeProblem& given,
                 const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const FormatBackend* backend,
                         registry.FindBackend("qtip", device.info().backend));
  for (int run = 0; run < kRuns; ++run) {
    // Quantizing works in the memory of W and H.
    std::vector<float> weights(given.weights.begin(), given.weights.end());
    std::vector<float> hessian(given.hessian.begin(), given.hessian.end());
    QuantizeProblem problem = given;
    problem.weights = weights;
    problem.hessian = hessian;
    NoProgress progress;
    QuantizeReport report;
    QTIPD_RETURN_IF_ERROR(backend->Quantize(device, problem, progress, report).status());
    double sum = 0;
    std::printf("%-12s %s", name.c_str(), problem.hessian.empty() ? "no H " : "with H");
    for (const auto& [step, seconds] : report.step_seconds) {
      std::printf("  %s %.3f", step.c_str(), seconds);
      sum += seconds;
    }
    std::printf("  sum %.3f s  proxy_error %.5f\n", sum, report.proxy_error);
  }
  return absl::OkStatus();
}

absl::Status Main(int argc, char** argv) {
  const std::string module = argv[1];
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Registry registry;
  RegisterBuiltinFormats(registry);
  if (module != "cpu") {
    QTIPD_ASSIGN_OR_RETURN(backend, OpenBackendModule(module));
    backend->Register(registry);
  }
  QTIPD_ASSIGN_OR_RETURN(const auto device, backend->OpenDevice(0));
  QTIPD_ASSIGN_OR_RETURN(const Shape shape, ParseShape(argv[2]));
  std::printf("%s, %s", device->info().name.c_str(), argv[2]);
  const auto instructions = device->info().properties.find("instruction_set");
  if (instructions != device->info().properties.end()) {
    std::printf(", %s", instructions->second.c_str());
  }
  std::printf("\n");
  std::vector<float> weights = Normal(1, shape.out_features * shape.in_features);
  std::vector<float> hessian = RandomHessian(shape.in_features);
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat("qtip"));
  for (int i = 3; i < argc; ++i) {
    const std::string name = argv[i];
    const size_t colon = name.find(':');
    QTIPD_ASSIGN_OR_RETURN(
        const Options options,
        CheckOptions(format->schema(),
                     {{"code", name.substr(0, colon)},
                      {"bits", int64_t{std::atoi(name.substr(colon + 1).c_str())}}}));
    QuantizeProblem problem = {.shape = shape, .weights = weights, .options = options};
    QTIPD_RETURN_IF_ERROR(Run(*device, registry, problem, name));
    problem.hessian = hessian;
    QTIPD_RETURN_IF_ERROR(Run(*device, registry, problem, name));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: encoder_speed MODULE|cpu OUTxIN CODE:BITS...\n");
    return 2;
  }
  if (std::getenv("QTIPD_BENCH_AVX2") != nullptr) {
    hwy::DisableTargets(HWY_AVX2 - 1);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  const absl::Status status = qtipd::Main(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
