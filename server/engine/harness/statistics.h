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

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STATISTICS_H_
