#include "kernels/cuda/device_code.h"

#include <charconv>
#include <optional>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr int kLeastCapability = 80;
constexpr int kClusterCapability = 90;

std::string Dotted(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

void ParseArchitecture(std::string_view name, std::vector<DeviceCode>& codes) {
  int architecture = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, architecture);
  if (error != std::errc()) return;
  const std::string_view kind(rest, end - rest);
  if (kind.empty() || kind == "-real") codes.push_back({architecture, false});
  if (kind.empty() || kind == "-virtual") codes.push_back({architecture, true});
}

bool Runs(const DeviceCode& code, int capability) {
  if (code.architecture > capability) return false;
  if (!code.is_ptx) return code.architecture / 10 == capability / 10;
  return capability < kClusterCapability || code.architecture >= kClusterCapability;
}

bool IsBetter(const DeviceCode& a, const DeviceCode& b) {
  if (a.is_ptx != b.is_ptx) return !a.is_ptx;
  return a.architecture > b.architecture;
}

}  // namespace

std::string DeviceCode::ToString() const {
  return (is_ptx ? "compute_" : "sm_") + std::to_string(architecture);
}

std::string DeviceCodeText(std::span<const DeviceCode> codes) {
  std::string text;
  for (const DeviceCode& code : codes) text += (text.empty() ? "" : ", ") + code.ToString();
  return text;
}

std::vector<DeviceCode> ParseArchitectures(std::string_view list) {
  std::vector<DeviceCode> codes;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    ParseArchitecture(list.substr(0, comma), codes);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return codes;
}

const std::vector<DeviceCode>& BuiltDeviceCode() {
  static const std::vector<DeviceCode> codes = ParseArchitectures(QTIPD_CUDA_ARCHITECTURES);
  return codes;
}

absl::StatusOr<DeviceCode> FindDeviceCode(std::span<const DeviceCode> carried,
                                          int compute_capability, std::string_view gpu) {
  const std::string field = "compute capability of " + std::string(gpu);
  const std::string got = Dotted(compute_capability);
  if (compute_capability < kLeastCapability) {
    return FieldError(absl::StatusCode::kUnimplemented, "DEVICE_UNSUPPORTED", field, got,
                      Dotted(kLeastCapability) + " (Ampere) or newer");
  }
  std::optional<DeviceCode> best;
  for (const DeviceCode& code : carried) {
    if (Runs(code, compute_capability) && (!best || IsBetter(code, *best))) best = code;
  }
  if (best) return *best;
  return FieldError(
      absl::StatusCode::kUnimplemented, "DEVICE_CODE_MISSING", field, got,
      "what this build has code for (" + DeviceCodeText(carried) +
          "); build with CMAKE_CUDA_ARCHITECTURES=" + std::to_string(compute_capability) + "-real");
}

}  // namespace qtipd
