#include "kernels/formats/qtip/qtip_cuda_transform.h"

#include "kernels/api/status.h"

namespace qtipd {

std::vector<uint16_t> PackHadamardSigns(int order, HadamardDirection direction) {
  if (order == 1) return {};
  const std::vector<int8_t> matrix = HadamardMatrix(order, direction);
  const int groups = order / kSignBlock;
  std::vector<uint16_t> words(groups * groups);
  for (int row = 0; row < order; ++row) {
    for (int col = 0; col < order; ++col) {
      if (matrix[row * order + col] > 0) continue;
      const int bit = kSignBlock * (col % kSignBlock) + row % kSignBlock;
      words[col / kSignBlock * groups + row / kSignBlock] |= static_cast<uint16_t>(1 << bit);
    }
  }
  return words;
}

absl::StatusOr<CudaRotation> MakeCudaRotation(CudaDevice& device, const QtipRotation& sides,
                                              HadamardDirection direction) {
  CudaRotation rotation{.sides = sides, .order = HadamardOrder(sides.size).value(), .signs = {}};
  const std::vector<uint16_t> words = PackHadamardSigns(rotation.order, direction);
  if (words.empty()) return rotation;
  const size_t bytes = words.size() * sizeof(uint16_t);
  QTIPD_ASSIGN_OR_RETURN(rotation.signs, device.Allocate(bytes));
  QTIPD_RETURN_IF_ERROR(device.CopyToDevice(rotation.signs.data(), words.data(), bytes));
  return rotation;
}

}  // namespace qtipd
