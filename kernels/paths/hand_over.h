// Which inner multiply path `fused` takes for a batch: the format's kernel, or, above the batch
// from which that is slower on this device, decoding and a dense product.
#ifndef QTIPD_KERNELS_PATHS_HAND_OVER_H_
#define QTIPD_KERNELS_PATHS_HAND_OVER_H_

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/options.h"
#include "kernels/api/status.h"
#include "kernels/paths/inner_multiply.h"

namespace qtipd {

// The choice and, for the record, what it was made from: `inner_multiply` is fused or dequant, and
// `inner_candidate_seconds.*` what each took. Without them there was nothing to choose.
struct InnerChoice {
  std::unique_ptr<InnerMultiply> multiply;
  std::map<std::string, std::string> notes;
};

// Seconds of one inner multiply over the copies of `weights` in turn: the least of some replays.
// Blocks. u [batch, in_features] and z [batch, out_features] are scratch; u is finite.
inline absl::StatusOr<double> TrialSeconds(Device& device, ResidentWeights& weights,
                                           InnerMultiply& multiply, const void* u, void* z) {
  constexpr int kReplays = 3;
  constexpr int kMostCopies = 16;
  constexpr double kLongEnough = 0.05;  // seconds, of which one replay tells enough
  // Launches hide behind each other, and caches hold few copies; a device that works while it is
  // called has no launches.
  const int runs = device.info().is_synchronous ? 1 : std::min(weights.copies(), kMostCopies);
  const int steps = static_cast<int>(multiply.steps().size());
  QTIPD_ASSIGN_OR_RETURN(const auto recording, device.Record([&]() -> absl::Status {
    for (int run = 0; run < runs; ++run) {
      for (int step = 0; step < steps; ++step) {
        QTIPD_RETURN_IF_ERROR(multiply.Run(weights, run, step, u, z));
      }
    }
    return absl::OkStatus();
  }));
  QTIPD_RETURN_IF_ERROR(recording->Replay().status());  // warms up
  double least = std::numeric_limits<double>::infinity();
  for (int replay = 0; replay < kReplays && least > 0; ++replay) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, recording->Replay());
    least = std::min(least, timing.seconds);
    if (timing.seconds > kLongEnough) break;
  }
  return least / runs;
}

// Times both and takes the dense product only where it clearly wins, so that a tie does not make
// the choice a matter of chance. Batch 1 is the fused kernel's own ground and is not tried; a batch
// beyond max_fused_batch() has nothing else. Errors: those of the device.
inline absl::StatusOr<InnerChoice> ChooseInnerMultiply(Device& device, ResidentWeights& weights,
                                                       int64_t batch) {
  constexpr double kClearly = 0.97;
  const bool has_kernel = batch <= weights.max_fused_batch();
  auto fused = std::make_unique<FusedMultiply>(batch);
  if (has_kernel && batch == 1) return InnerChoice{std::move(fused), {}};
  auto dense = DecodeMultiply::Create(device, weights, batch);
  if (!has_kernel) {
    QTIPD_RETURN_IF_ERROR(dense.status());
    return InnerChoice{*std::move(dense), {{"inner_multiply", "dequant"}}};
  }
  if (absl::IsResourceExhausted(dense.status())) {  // a decoded matrix has no room here
    return InnerChoice{std::move(fused), {{"inner_multiply", "fused"}}};
  }
  QTIPD_RETURN_IF_ERROR(dense.status());
  const Shape shape = weights.shape();
  const size_t u_bytes = batch * shape.in_features * DTypeSize(device.info().compute_dtype);
  const size_t z_bytes = batch * shape.out_features * DTypeSize(weights.inner_dtype());
  QTIPD_ASSIGN_OR_RETURN(const Buffer u, device.Allocate(u_bytes));
  QTIPD_ASSIGN_OR_RETURN(const Buffer z, device.Allocate(z_bytes));
  QTIPD_RETURN_IF_ERROR(device.Fill(u.data(), 0, u_bytes));
  QTIPD_ASSIGN_OR_RETURN(const double fused_seconds,
                         TrialSeconds(device, weights, *fused, u.data(), z.data()));
  QTIPD_ASSIGN_OR_RETURN(const double dense_seconds,
                         TrialSeconds(device, weights, **dense, u.data(), z.data()));
  const bool hands_over = dense_seconds < kClearly * fused_seconds;
  InnerChoice choice{.multiply = std::move(fused),
                     .notes = {{"inner_multiply", hands_over ? "dequant" : "fused"},
                               {"inner_candidate_seconds.fused", OptionText(fused_seconds)},
                               {"inner_candidate_seconds.dequant", OptionText(dense_seconds)}}};
  if (hands_over) choice.multiply = *std::move(dense);
  return choice;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_PATHS_HAND_OVER_H_
