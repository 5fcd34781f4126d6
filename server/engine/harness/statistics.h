// What is said about a set of samples: robust figures, and an interval for the median that assumes
// nothing about the distribution.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_STATISTICS_H_
#define QTIPD_SERVER_ENGINE_HARNESS_STATISTICS_H_

#include <cstddef>
#include <span>
#include <utility>

#include "server/engine/types.h"

namespace qtipd {

// The fewest samples for which order statistics give a 95 % interval of the median.
inline constexpr size_t kMinSamplesForInterval = 6;

// The fewest samples of which, with 99 % confidence, at least two lie beyond the percentile; below
// them it is left out. Source: MLPerf LoadGen's early stopping criterion (binomial test, c = 0.99),
// https://github.com/mlcommons/inference/blob/master/loadgen/early_stopping.h
inline constexpr size_t kMinSamplesForDeciles = 64;
inline constexpr size_t kMinSamplesForP95 = 130;
inline constexpr size_t kMinSamplesForP99 = 662;

// Zero-based indices (low, high) into n sorted samples between which the median lies with at least
// 95 % probability, whatever the distribution: the largest k with P(Binomial(n, 1/2) <= k - 1) <=
// 2.5 % gives (k - 1, n - k). Below kMinSamplesForInterval: (0, n - 1), with less coverage. n > 0.
// Source: David, Nagaraja, "Order Statistics", 3rd ed., section 7.1.
std::pair<size_t, size_t> MedianIntervalRanks(size_t n);

// All figures of `samples`, which is not empty; quantiles interpolate linearly between order
// statistics.
Statistics Summarise(std::span<const double> samples);

// The median alone; 0 of nothing.
double Median(std::span<const double> samples);

// Half the width of the median's interval, over the median; infinite for a median of 0.
double RelativeHalfWidth(const Statistics& statistics);
// The same of `samples`, which is not empty, in time linear in their number.
double RelativeHalfWidth(std::span<const double> samples);

// How many modes the distribution of `samples` has, as in statistics_modes.cc.
int CountModes(std::span<const double> samples);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STATISTICS_H_
