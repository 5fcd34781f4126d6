// Hadamard matrices of the orders that published layers need, from their constructions, and which
// sizes a rotation can have.
//
// A rotation of size N = K 2^a is H_N = (had_K x Sylvester_{N/K}) / sqrt(N), x the Kronecker
// product: a vector is K rows of N/K elements, each row is Walsh-Hadamard transformed and had_K
// combines the rows. had_K is not symmetric for most K, so H x and H^T x differ.
//
// Sources: Paley (1933), "On orthogonal matrices", J. Math. Phys. 12; Williamson (1944),
// "Hadamard's determinant theorem and the sum of four squares", Duke Math. J. 11; both, with tables
// of first rows, in Hedayat and Wallis (1978), "Hadamard matrices and their applications", Ann.
// Statist. 6. The orders and the rule that chooses among them are QTIP's (Tseng et al., 2024,
// arXiv 2406.11235, and its checkpoints).
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_HADAMARD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_HADAMARD_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace qtipd {

// Orders K beside powers of two, in the order in which they are tried.
inline constexpr std::array<int, 12> kHadamardOrders = {172, 156, 140, 124, 116, 108,
                                                        60,  52,  36,  28,  20,  12};

// K of a rotation of `size` elements: the first of kHadamardOrders that divides it, else 1. Nothing
// where `size` / K is no power of two: such a rotation does not exist.
std::optional<int> HadamardOrder(int64_t size);

// The size from `least` to `most`, multiples of `step` with a HadamardOrder, that is nearest to
// `size`; of two at the same distance the smaller.
int64_t NearestHadamardSize(int64_t size, int64_t least, int64_t most, int64_t step);

// Which of the two a transform multiplies with.
enum class HadamardDirection { kForward, kTransposed };  // H x, H^T x

// had_K or its transpose, row-major [order][order] of +-1. `order` is 1 or one of kHadamardOrders.
std::vector<int8_t> HadamardMatrix(int order, HadamardDirection direction);

// One side of a layer: `shards` neighbouring parts of `size` elements, each rotated by H_size.
struct QtipRotation {
  int64_t size = 0;
  int64_t shards = 1;
  int64_t features() const { return size * shards; }
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_HADAMARD_H_
