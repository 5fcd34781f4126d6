#include "client/activations.h"

#include "absl/strings/ascii.h"

namespace qtipd {
namespace {

template <typename Measured>
std::string Other(const Measured& measured, const std::string& dtype) {
  const auto compute = measured.environment().find("compute_dtype");
  const bool is_known = compute != measured.environment().end();
  return is_known && compute->second != dtype ? dtype : "";
}

}  // namespace

std::string ActivationName(std::string_view text) {
  if (text == "default") return "";
  return absl::AsciiStrToUpper({text.data(), text.size()});
}

std::string OtherActivations(const v1::Run& run, const v1::BenchmarkResult& result) {
  return Other(run, result.activation_dtype());
}

std::string OtherActivations(const v1::Profile& profile) {
  return Other(profile, profile.activation_dtype());
}

}  // namespace qtipd
