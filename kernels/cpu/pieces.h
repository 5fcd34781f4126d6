// Loops over a whole matrix on the host that end soon after whoever wants the result no longer
// does.
#ifndef QTIPD_KERNELS_CPU_PIECES_H_
#define QTIPD_KERNELS_CPU_PIECES_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// Work between two looks at Progress::IsCancelled, on one thread: elements of a matrix that are
// read and written once or a few times, and multiplications of fp32 in a matrix product, half as
// many of doubles. Each takes a slow core below 0.1 s.
inline constexpr int64_t kPieceElements = int64_t{1} << 20;
inline constexpr int64_t kPieceProducts = int64_t{1} << 30;

// OK, or absl::CancelledError.
inline absl::Status CheckNotCancelled(const Progress& progress) {
  return progress.IsCancelled() ? absl::CancelledError("cancelled") : absl::OkStatus();
}

// Rows of `elements` each that make up one piece.
constexpr int64_t PieceRows(int64_t elements) {
  return std::max<int64_t>(1, kPieceElements / elements);
}

// Calls body(slot, begin, end) for parts of [0, count) of at most `piece` until all are done, on at
// most `slots` threads, whose numbers lie in [0, slots). Which thread does which part is open, so a
// part depends on nothing but its range. Looks at `progress` before every part. Errors: Cancelled.
template <typename Body>
absl::Status ForPieces(ThreadPool& pool, int slots, const Progress& progress, int64_t count,
                       int64_t piece, const Body& body) {
  const int64_t parts = (count + piece - 1) / piece;
  std::atomic<int64_t> next = 0;
  std::atomic<bool> is_cancelled = false;
  // No more iterations than threads: each thread has one at most, and its number is the slot.
  pool.ParallelFor(std::min<int64_t>({slots, pool.threads(), parts}),
                   [&](int, int64_t slot, int64_t) {
                     for (int64_t part = next++; part < parts; part = next++) {
                       if (is_cancelled) return;
                       if (progress.IsCancelled()) {
                         is_cancelled = true;
                         return;
                       }
                       const int64_t begin = part * piece;
                       body(static_cast<int>(slot), begin, std::min(begin + piece, count));
                     }
                   });
  return is_cancelled ? absl::CancelledError("cancelled") : absl::OkStatus();
}

// The same on all threads, for parts that do not need to know theirs.
template <typename Body>
absl::Status ForPieces(ThreadPool& pool, const Progress& progress, int64_t count, int64_t piece,
                       const Body& body) {
  return ForPieces(pool, pool.threads(), progress, count, piece,
                   [&](int, int64_t begin, int64_t end) { body(begin, end); });
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_PIECES_H_
