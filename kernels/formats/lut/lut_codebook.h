// Codebooks of format "lut" fitted to the normalised weights of a matrix or of one output.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CODEBOOK_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CODEBOOK_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/lut/lut_encoder.h"
#include "kernels/formats/lut/lut_kmeans.h"

namespace qtipd {

// Normalised weights, each over its block's scale and with the weight that its error has: the
// importance times the scale squared. Weights of blocks whose scale is 0 are left out.

// Of a whole matrix: sorted into 2^18 equal bins, so that a value is known to 2^-18 of the range.
// The same at any number of threads. Errors: Cancelled.
absl::StatusOr<LutPoints> MatrixLutPoints(ThreadPool& pool, const Progress& progress,
                                          const LutProblem& problem,
                                          std::span<const uint16_t> scales);

// Of one row, exactly.
LutPoints RowLutPoints(const LutProblem& problem, int64_t row, std::span<const uint16_t> scales);

// Points that the dynamic program sees at most: of a matrix, and of a row, where it runs for each.
inline constexpr int64_t kLutCondensed = 8192;
inline constexpr int64_t kLutCondensedOfRow = 512;
constexpr int64_t LutCondensedPoints(const LutSpec& spec) {
  return spec.is_per_channel ? kLutCondensedOfRow : kLutCondensed;
}

// A codebook for `points`, ascending, as fp16: k-means or equal steps, as the problem says. Where
// there are no points all entries are 0. Errors: Cancelled.
absl::StatusOr<std::vector<uint16_t>> FitLutCodebook(const LutProblem& problem,
                                                     const LutPoints& points,
                                                     const Progress& progress);

// The same from an earlier one by Lloyd's steps; a codebook of equal steps stays.
std::vector<uint16_t> ImproveLutCodebook(const LutProblem& problem, const LutPoints& points,
                                         std::vector<uint16_t> codebook);

// The entries as numbers.
std::vector<float> LutCodebookValues(std::span<const uint16_t> codebook);

// Upper bound of the memory that all functions take with so many threads.
uint64_t LutCodebookBytes(const LutSpec& spec, Shape shape, int threads);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CODEBOOK_H_
