#include "tests/conformance/cases.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "kernels/api/builtin.h"
#include "kernels/api/random.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_backend.h"

namespace qtipd {
namespace {

// In order of size; a format takes those that its CheckShape accepts.
constexpr Shape kCandidates[] = {{16, 16},   {32, 32},  {32, 64},   {64, 32},
                                 {48, 96},   {96, 160}, {128, 32},  {256, 128},
                                 {64, 1024}, {512, 64}, {1376, 32}, {32, 2496}};
constexpr size_t kShapesPerCase = 10;

absl::Status OpenModule(Bench& bench) {
  QTIPD_ASSIGN_OR_RETURN(bench.module, OpenBackendModule(QTIPD_CONFORMANCE_MODULE));
  QTIPD_ASSIGN_OR_RETURN(const int count, bench.module->DeviceCount());
  if (count == 0) return absl::UnavailableError("no device");
  bench.module->Register(bench.registry);
  QTIPD_ASSIGN_OR_RETURN(bench.device, bench.module->OpenDevice(0));
  return absl::OkStatus();
}

Bench* MakeBench() {
  auto* bench = new Bench;
  RegisterBuiltinFormats(bench->registry);
  RegisterBuiltinPaths(bench->registry);
  bench->cpu = MakeCpuBackend();
  bench->host = bench->cpu->OpenDevice(0).value();
  if (std::string(QTIPD_CONFORMANCE_MODULE).empty()) {
    bench->device = bench->cpu->OpenDevice(0).value();
  } else if (const absl::Status status = OpenModule(*bench); !status.ok()) {
    bench->no_device_reason = status.ToString();
  }
  return bench;
}

// The defaults of all options that have choices, and every other choice of each beside them: as
// many cases as there are choices, not as there are combinations.
std::vector<FormatCase> CasesOf(const WeightFormat& format) {
  FormatCase defaults{std::string(format.id()), {}};
  for (const OptionSpec& spec : format.schema()) {
    if (!spec.choices.empty()) defaults.given[spec.name] = spec.default_value;
  }
  std::vector<FormatCase> cases = {defaults};
  for (const OptionSpec& spec : format.schema()) {
    for (const OptionValue& choice : spec.choices) {
      if (choice == spec.default_value) continue;
      cases.push_back(defaults);
      cases.back().given[spec.name] = choice;
    }
  }
  return cases;
}

}  // namespace

Bench& TheBench() {
  static Bench* bench = MakeBench();
  return *bench;
}

std::vector<FormatCase> AllFormatCases() {
  std::vector<FormatCase> all;
  for (const auto& format : TheBench().registry.formats()) {
    const std::vector<FormatCase> cases = CasesOf(*format);
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

std::vector<std::string> AllPaths() {
  std::vector<std::string> ids;
  for (const auto& path : TheBench().registry.paths()) ids.emplace_back(path->id());
  return ids;
}

std::string CaseName(const FormatCase& format_case) {
  std::string name = format_case.format;
  for (const auto& [option, value] : format_case.given) name += "_" + option + OptionText(value);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

std::vector<Shape> ShapesOf(const FormatCase& format_case) {
  const WeightFormat* format = TheBench().registry.FindFormat(format_case.format).value();
  const Options options = CheckOptions(format->schema(), format_case.given).value();
  std::vector<Shape> shapes;
  for (const Shape shape : kCandidates) {
    if (format->CheckShape(options, shape).ok()) shapes.push_back(shape);
  }
  shapes.resize(std::min(shapes.size(), kShapesPerCase));
  return shapes;
}

absl::StatusOr<PackedLayer> Quantize(const FormatCase& format_case, Shape shape, Device& device,
                                     std::vector<float>* weights) {
  const Registry& registry = TheBench().registry;
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat(format_case.format));
  QTIPD_ASSIGN_OR_RETURN(const FormatBackend* backend,
                         registry.FindBackend(format_case.format, device.info().backend));
  std::vector<float> normal(shape.out_features * shape.in_features);
  FillNormal(11, RandomStream::kWeights, 0, normal);
  if (weights != nullptr) *weights = normal;
  QuantizeProblem problem{
      .shape = shape, .weights = normal, .hessian = {}, .options = {}, .seed = 5};
  QTIPD_ASSIGN_OR_RETURN(problem.options, CheckOptions(format->schema(), format_case.given));
  NoProgress progress;
  QuantizeReport report;
  return backend->Quantize(device, problem, progress, report);
}

absl::StatusOr<PackedLayer> QuantizedLayer(const FormatCase& format_case, Shape shape) {
  static auto* made = new std::map<std::tuple<std::string, int64_t, int64_t>, PackedLayer>;
  const std::tuple key(CaseName(format_case), shape.out_features, shape.in_features);
  if (const auto it = made->find(key); it != made->end()) return it->second;
  QTIPD_ASSIGN_OR_RETURN(PackedLayer layer, Quantize(format_case, shape, *TheBench().host));
  return made->emplace(key, std::move(layer)).first->second;
}

}  // namespace qtipd
