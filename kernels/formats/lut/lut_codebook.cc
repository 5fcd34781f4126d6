#include "kernels/formats/lut/lut_codebook.h"

#include <algorithm>
#include <cmath>

#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

// Lloyd's steps at most, after the dynamic program over condensed points and between rounds. Beyond
// the first few they change the error in the fourth digit.
constexpr int kRounds = 100;

// Amplitudes that a codebook of equal steps is tried with: from the largest value down to a
// thousandth of it, eight to an octave, then by sections around the best.
constexpr int kAmplitudes = 81;
constexpr int kPerOctave = 8;
constexpr int kSections = 30;

std::vector<double> EqualSteps(int entries, double amplitude) {
  std::vector<double> centres(entries);
  for (int i = 0; i < entries; ++i) centres[i] = amplitude * (2.0 * i / (entries - 1) - 1);
  return centres;
}

double AmplitudeError(const LutPoints& points, int entries, double amplitude) {
  return LutError(points, EqualSteps(entries, amplitude));
}

// The amplitude of least error.
double FindAmplitude(const LutPoints& points, int entries) {
  const double most =
      std::max(std::abs(points.value(0)), std::abs(points.value(points.size() - 1)));
  int best = 0;
  double least = AmplitudeError(points, entries, most);
  for (int i = 1; i < kAmplitudes; ++i) {
    const double error =
        AmplitudeError(points, entries, most * std::exp2(-static_cast<double>(i) / kPerOctave));
    if (error < least) {
      least = error;
      best = i;
    }
  }
  double low = most * std::exp2(-(best + 1.0) / kPerOctave);
  double high = most * std::exp2(-(best - 1.0) / kPerOctave);
  for (int i = 0; i < kSections; ++i) {
    const double left = low + (high - low) / 3;
    const double right = high - (high - low) / 3;
    if (AmplitudeError(points, entries, left) <= AmplitudeError(points, entries, right)) {
      high = right;
    } else {
      low = left;
    }
  }
  return (low + high) / 2;
}

std::vector<uint16_t> Rounded(std::span<const double> centres) {
  std::vector<uint16_t> codebook(centres.size());
  std::ranges::transform(centres, codebook.begin(),
                         [](double centre) { return FloatToHalf(static_cast<float>(centre)); });
  return codebook;
}

}  // namespace

absl::StatusOr<std::vector<uint16_t>> FitLutCodebook(const LutProblem& problem,
                                                     const LutPoints& points,
                                                     const Progress& progress) {
  const int entries = problem.spec.entries();
  if (points.size() == 0) return std::vector<uint16_t>(entries);
  if (problem.is_uniform) {
    // Scales that are largest values mean entries from -1 to 1.
    const bool is_given = problem.blocks() > 0 && !problem.is_rms;
    return Rounded(EqualSteps(entries, is_given ? 1 : FindAmplitude(points, entries)));
  }
  const LutPoints condensed = CondenseLutPoints(points, LutCondensedPoints(problem.spec));
  QTIPD_ASSIGN_OR_RETURN(std::vector<double> centres,
                         OptimalLutCentres(condensed, entries, progress));
  ImproveLutCentres(points, kRounds, centres);
  return Rounded(centres);
}

std::vector<uint16_t> ImproveLutCodebook(const LutProblem& problem, const LutPoints& points,
                                         std::vector<uint16_t> codebook) {
  if (problem.is_uniform || points.size() == 0) return codebook;
  const std::vector<float> values = LutCodebookValues(codebook);
  std::vector<double> centres(values.begin(), values.end());
  ImproveLutCentres(points, kRounds, centres);
  return Rounded(centres);
}

std::vector<float> LutCodebookValues(std::span<const uint16_t> codebook) {
  std::vector<float> values(codebook.size());
  std::ranges::transform(codebook, values.begin(), HalfToFloat);
  return values;
}

}  // namespace qtipd
