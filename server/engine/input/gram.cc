#include "server/engine/input/gram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/parallel.h"

namespace qtipd {
namespace {

// Columns are packed in blocks: [block][token][kBlock], so that a tile of sums reads two
// consecutive stretches, whatever power of two the features are.
constexpr int64_t kBlock = 8;
// A tile of sums has this many rows and columns: what the registers of any x86-64 hold.
constexpr int64_t kTile = 4;

int64_t Blocks(int64_t features) { return (features + kBlock - 1) / kBlock; }

// A chunk of tokens as doubles.
class PackedChunk {
 public:
  PackedChunk(int64_t tokens, int64_t features)
      : tokens_(tokens), values_(static_cast<size_t>(Blocks(features) * tokens * kBlock)) {}

  // Column block `block`: [tokens][kBlock].
  const double* block(int64_t block) const { return values_.data() + block * tokens_ * kBlock; }
  int64_t tokens() const { return tokens_; }

  // Takes the first `features` values of rows [begin, begin + tokens); rows beyond the tensor and
  // columns beyond `features` count as zeros. Returns the index of the first value that is not
  // finite, or -1.
  int64_t Fill(const HostTensor& activations, int64_t begin, int64_t features) {
    const int64_t rows = std::min(tokens_, activations.shape()[0] - begin);
    std::fill(values_.begin(), values_.end(), 0.0);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t bad = FillRow(activations, begin + row, row, features);
      if (bad >= 0) return (begin + row) * activations.shape()[1] + bad;
    }
    return -1;
  }

 private:
  int64_t FillRow(const HostTensor& activations, int64_t source, int64_t row, int64_t features) {
    const size_t size = DTypeSize(activations.dtype());
    const auto first = static_cast<size_t>(source * activations.shape()[1]) * size;
    const HostTensor view(activations.dtype(), {features}, nullptr,
                          activations.bytes().subspan(first, static_cast<size_t>(features) * size));
    const std::vector<float> floats = view.ToFloat();
    for (int64_t i = 0; i < features; ++i) {
      if (!std::isfinite(floats[i])) return i;
      values_[((i / kBlock) * tokens_ + row) * kBlock + i % kBlock] = floats[i];
    }
    return -1;
  }

  const int64_t tokens_;
  std::vector<double> values_;
};

// sums[r][c] += sum over tokens of left[t][r] right[t][c], for a tile of rows and columns.
void AddTile(const double* left, const double* right, int64_t tokens, double* sums,
             int64_t stride) {
  double tile[kTile][kTile] = {};
  for (int64_t t = 0; t < tokens; ++t) {
    const double* a = left + t * kBlock;
    const double* b = right + t * kBlock;
    for (int64_t r = 0; r < kTile; ++r) {
      for (int64_t c = 0; c < kTile; ++c) tile[r][c] += a[r] * b[c];
    }
  }
  for (int64_t r = 0; r < kTile; ++r) {
    for (int64_t c = 0; c < kTile; ++c) sums[r * stride + c] += tile[r][c];
  }
}

// Rows [begin, end) of the lower triangle, as a rectangle of whole blocks.
class Panel {
 public:
  // `begin` is a multiple of kBlock.
  Panel(int64_t begin, int64_t end)
      : begin_(begin),
        end_(end),
        stride_(Blocks(end) * kBlock),
        sums_(static_cast<size_t>((Blocks(end) * kBlock - begin) * stride_)) {}

  void Add(const PackedChunk& chunk, const Progress& progress) {
    const int64_t first = begin_ / kBlock;
    ParallelBlocks(Blocks(end_) - first, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = first + from; i < first + to && !progress.IsCancelled(); ++i) {
        for (int64_t j = 0; j <= i; ++j) AddBlock(chunk, i, j);
      }
    });
  }

  absl::Status Write(const TriangleSink& sink) const {
    for (int64_t row = begin_; row < end_; ++row) {
      const double* values = sums_.data() + (row - begin_) * stride_;
      QTIPD_RETURN_IF_ERROR(sink(std::span(values, static_cast<size_t>(row + 1))));
    }
    return absl::OkStatus();
  }

 private:
  void AddBlock(const PackedChunk& chunk, int64_t i, int64_t j) {
    double* sums = sums_.data() + (i * kBlock - begin_) * stride_ + j * kBlock;
    for (int64_t r = 0; r < kBlock; r += kTile) {
      for (int64_t c = 0; c < kBlock; c += kTile) {
        AddTile(chunk.block(i) + r, chunk.block(j) + c, chunk.tokens(), sums + r * stride_ + c,
                stride_);
      }
    }
  }

  const int64_t begin_;
  const int64_t end_;
  const int64_t stride_;
  std::vector<double> sums_;
};

absl::Status NotFinite(const std::string& name, int64_t index, int64_t features) {
  return InvalidField("NON_FINITE", "tensor " + name,
                      "NaN or infinity at [" + std::to_string(index / features) + ", " +
                          std::to_string(index % features) + "]",
                      "finite numbers");
}

// The first row after a panel that begins at `begin`: as many as fit, at least one block.
int64_t PanelEnd(int64_t begin, int64_t features, uint64_t panel_bytes) {
  const auto rows = static_cast<int64_t>(panel_bytes / (sizeof(double) * features));
  return std::min(features, begin + std::max(kBlock, rows / kBlock * kBlock));
}

}  // namespace

absl::Status ComputeGram(const HostTensor& activations, const std::string& name,
                         const GramLimits& limits, Progress& progress, const TriangleSink& sink) {
  const int64_t tokens = activations.shape()[0];
  const int64_t features = activations.shape()[1];
  const double pairs = static_cast<double>(features) * static_cast<double>(features);
  for (int64_t begin = 0; begin < features;) {
    const int64_t end = PanelEnd(begin, features, limits.panel_bytes);
    // The first panel looks at every value, the later ones at what they need: columns up to theirs.
    const int64_t width = begin == 0 ? features : end;
    Panel panel(begin, end);
    PackedChunk chunk(std::min(limits.chunk_tokens, tokens), width);
    for (int64_t token = 0; token < tokens; token += chunk.tokens()) {
      const int64_t bad = chunk.Fill(activations, token, width);
      if (bad >= 0) return NotFinite(name, bad, features);
      panel.Add(chunk, progress);
      if (progress.IsCancelled()) return absl::CancelledError("accumulating");
      const double done = static_cast<double>(begin) * static_cast<double>(begin);
      const double whole = static_cast<double>(end) * static_cast<double>(end);
      const double part = static_cast<double>(token) / static_cast<double>(tokens);
      progress.Report((done + (whole - done) * part) / pairs, "accumulate");
    }
    QTIPD_RETURN_IF_ERROR(panel.Write(sink));
    begin = end;
  }
  return absl::OkStatus();
}

}  // namespace qtipd
