#include "kernels/formats/qtip/qtip_hadamard.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace qtipd {
namespace {

// Row-major square matrix of +-1.
struct SignMatrix {
  explicit SignMatrix(int size) : order(size), values(static_cast<size_t>(size) * size) {}
  int8_t& at(int row, int col) { return values[row * order + col]; }
  int order;
  std::vector<int8_t> values;
};

// chi(i), i = 0 .. prime - 1: 0 for 0, 1 for squares modulo `prime`, else -1.
std::vector<int8_t> LegendreSymbols(int prime) {
  std::vector<int8_t> symbols(prime, -1);
  symbols[0] = 0;
  for (int i = 1; i < prime; ++i) symbols[i * i % prime] = 1;
  return symbols;
}

// Paley's first construction, order - 1 a prime that is 3 modulo 4.
SignMatrix PaleyOne(int order) {
  const int prime = order - 1;
  const std::vector<int8_t> symbols = LegendreSymbols(prime);
  SignMatrix matrix(order);
  for (int i = 0; i < order; ++i) {
    for (int j = 0; j < order; ++j) {
      int8_t value = 1;
      if (i == 0 && j > 0) value = -1;
      if (i > 0 && j > 0 && i != j) value = static_cast<int8_t>(-symbols[(j - i + prime) % prime]);
      matrix.at(i, j) = value;
    }
  }
  return matrix;
}

// Paley's second construction, order / 2 - 1 a prime that is 1 modulo 4: [[S + I, S - I], [S - I,
// -S - I]] of a conference matrix S.
SignMatrix PaleyTwo(int order) {
  const int half = order / 2;
  const int prime = half - 1;
  const std::vector<int8_t> symbols = LegendreSymbols(prime);
  SignMatrix matrix(order);
  for (int i = 0; i < half; ++i) {
    for (int j = 0; j < half; ++j) {
      const bool is_border = i == 0 || j == 0;
      const int s = i == j ? 0 : (is_border ? 1 : symbols[(j - i + prime) % prime]);
      const int identity = i == j ? 1 : 0;
      matrix.at(i, j) = static_cast<int8_t>(s + identity);
      matrix.at(i, half + j) = static_cast<int8_t>(s - identity);
      matrix.at(half + i, j) = static_cast<int8_t>(s - identity);
      matrix.at(half + i, half + j) = static_cast<int8_t>(-s - identity);
    }
  }
  return matrix;
}

// First rows of the four symmetric circulants, '+' for 1.
struct WilliamsonRows {
  int order;
  std::array<std::string_view, 4> rows;
};

constexpr WilliamsonRows kWilliamson[] = {
    {52, {"+-+--++++--+-", "+---++++++---", "++-+--++--+-+", "+----+--+----"}},
    {116,
     {"++--+--+-+++-++++-+++-+--+--+", "++++-++-+---++++++---+-++-+++",
      "+-+---++--+-++++++-+--++---+-", "+++---++--+-+----+-+--++---++"}},
    {124,
     {"+--+++-+--+----++----+--+-+++--", "+--+++-+--+----++----+--+-+++--",
      "+-----+++-+-+--++--+-+-+++-----", "++++++---+-+-++--++-+-+---+++++"}},
    {156,
     {"+++--+-+-----+--++----++--+-----+-+--++", "++++---+--++----+-+--+-+----++--+---+++",
      "+++--++-+---+-+--+----+--+-+---+-++--++", "+---++-+-+-----+++-++-+++-----+-+-++---"}},
    {172,
     {"+---++--++++-+-+++-++--++-+++-+-++++--++---", "++-++++++----+-+--++-++-++--+-+----++++++-+",
      "+++-+-++--+-+-++++-+----+-++++-+-+--++-+-++",
      "++---++++-+--+--++--------++--+--+-++++---+"}},
};

// [[A, B, C, D], [-B, A, -D, C], [-C, D, A, -B], [-D, -C, B, A]].
SignMatrix Williamson(const WilliamsonRows& circulants) {
  struct Block {
    int circulant;
    int sign;
  };
  constexpr Block kBlocks[4][4] = {{{0, 1}, {1, 1}, {2, 1}, {3, 1}},
                                   {{1, -1}, {0, 1}, {3, -1}, {2, 1}},
                                   {{2, -1}, {3, 1}, {0, 1}, {1, -1}},
                                   {{3, -1}, {2, -1}, {1, 1}, {0, 1}}};
  const int side = circulants.order / 4;
  SignMatrix matrix(circulants.order);
  for (int i = 0; i < circulants.order; ++i) {
    for (int j = 0; j < circulants.order; ++j) {
      const Block block = kBlocks[i / side][j / side];
      const char sign = circulants.rows[block.circulant][(j % side - i % side + side) % side];
      matrix.at(i, j) = static_cast<int8_t>(sign == '+' ? block.sign : -block.sign);
    }
  }
  return matrix;
}

SignMatrix Construct(int order) {
  if (order == 1) {
    SignMatrix one(1);
    one.at(0, 0) = 1;
    return one;
  }
  if (order == 28 || order == 36) return PaleyTwo(order);
  for (const WilliamsonRows& circulants : kWilliamson) {
    if (circulants.order == order) return Williamson(circulants);
  }
  return PaleyOne(order);
}

}  // namespace

std::optional<int> HadamardOrder(int64_t size) {
  if (size < 1) return std::nullopt;
  const auto* const divisor = std::find_if(kHadamardOrders.begin(), kHadamardOrders.end(),
                                           [size](int order) { return size % order == 0; });
  const int order = divisor == kHadamardOrders.end() ? 1 : *divisor;
  if (!std::has_single_bit(static_cast<uint64_t>(size / order))) return std::nullopt;
  return order;
}

int64_t NearestHadamardSize(int64_t size, int64_t least, int64_t most, int64_t step) {
  size = std::clamp(size, least, most);
  int64_t nearest = 0;
  const auto consider = [&](int64_t candidate) {
    const int64_t distance = std::abs(candidate - size);
    const int64_t best = std::abs(nearest - size);
    if (nearest == 0 || distance < best || (distance == best && candidate < nearest)) {
      nearest = candidate;
    }
  };
  for (int64_t candidate = (least + step - 1) / step * step; candidate <= most; candidate += step) {
    if (HadamardOrder(candidate).has_value()) consider(candidate);
  }
  return nearest;
}

std::vector<int8_t> HadamardMatrix(int order, HadamardDirection direction) {
  SignMatrix matrix = Construct(order);
  if (direction == HadamardDirection::kTransposed) {
    for (int i = 0; i < order; ++i) {
      for (int j = 0; j < i; ++j) std::swap(matrix.at(i, j), matrix.at(j, i));
    }
  }
  return std::move(matrix.values);
}

}  // namespace qtipd
