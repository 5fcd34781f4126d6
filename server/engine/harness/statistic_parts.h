// The figures of a summary, each part of it one function over the sorted samples.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_STATISTIC_PARTS_H_
#define QTIPD_SERVER_ENGINE_HARNESS_STATISTIC_PARTS_H_

#include <span>

#include "server/engine/types.h"

namespace qtipd {

// Fills its own fields from `sorted`, ascending and not empty. A new one: one file
// statistics_<name>.cc and one line of the table in statistics.cc.
using StatisticPart = void(std::span<const double> sorted, Statistics& statistics);

StatisticPart FillCenter;    // median and its interval, mean
StatisticPart FillSpread;    // extremes, percentiles, IQR, MAD
StatisticPart FillOutliers;  // counts beyond Tukey's fences
StatisticPart FillModes;

// Quantile `q` of ascending values, not empty: linear between the two nearest order statistics.
double Quantile(std::span<const double> sorted, double q);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STATISTIC_PARTS_H_
