#include "client/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "absl/time/time.h"

namespace qtipd {
namespace {

constexpr TimeUnit kTimeUnits[] = {{"ns", 1e-9}, {"µs", 1e-6}, {"ms", 1e-3}, {"s", 1.0}};

template <typename... Args>
std::string Format(const char* format, Args... args) {
  std::array<char, 64> text;
  const int length = std::snprintf(text.data(), text.size(), format, args...);
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace

TimeUnit ChooseTimeUnit(double largest_seconds) {
  for (const TimeUnit& unit : kTimeUnits) {
    if (largest_seconds < 9999.5 * unit.seconds) return unit;
  }
  return kTimeUnits[3];
}

std::string FormatNumber(double value, int significant) {
  if (!std::isfinite(value)) return Format("%g", value);
  if (value == 0) return "0";
  // The exponent after rounding: 999.9 has four digits before the point if three are shown.
  const std::string scientific = Format("%.*e", significant - 1, value);
  const int before = std::stoi(scientific.substr(scientific.find('e') + 1)) + 1;
  return Format("%.*f", std::clamp(significant - before, 0, 12), value);
}

std::string FormatError(double value) {
  const bool is_small = value != 0 && std::fabs(value) < 1e-3;
  return is_small ? Format("%.1e", value) : FormatNumber(value, 3);
}

std::string ExactNumber(double value) {
  std::array<char, 64> text;
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), result.ptr);
}

std::string FormatSeconds(double seconds) {
  if (seconds >= 120) {
    const auto whole = static_cast<int64_t>(std::llround(seconds));
    return Format("%lld min %lld s", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  }
  for (const TimeUnit& unit : kTimeUnits) {
    if (seconds < 999.5 * unit.seconds) {
      return FormatNumber(seconds / unit.seconds, 3) + " " + std::string(unit.name);
    }
  }
  return FormatNumber(seconds, 3) + " s";
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  const std::string number = unit == 0 ? std::to_string(bytes) : FormatNumber(value, 3);
  return number + " " + std::string(kUnits[unit]);
}

std::string FormatBandwidth(double per_second) {
  return FormatNumber(per_second / 1e9, 4) + " GB/s";
}

std::string FormatPercent(double fraction) { return FormatNumber(fraction * 100, 2) + " %"; }

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

}  // namespace qtipd
