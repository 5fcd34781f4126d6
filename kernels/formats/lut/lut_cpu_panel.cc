// Versions tried are in docs/performance/lut.md.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/lut/lut_cpu_panel.cc"
#include "kernels/formats/lut/lut_cpu_panel.h"

#include <algorithm>
#include <cstring>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"
#include "kernels/formats/lut/lut_cpu_lookup-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::CappedTag<float, kLutLanes>;
using WordTag = hn::RebindToUnsigned<FloatTag>;
using FloatVec = hn::Vec<FloatTag>;
using WordVec = hn::Vec<WordTag>;

constexpr int64_t kLanes = hn::MaxLanes(FloatTag());
// Vectors that are the 16 rows of a record.
constexpr int kParts = kLutLanes / kLanes;
constexpr int kNibbles = 8;  // of a word
// Vectors of a batch that are multiplied while weights are in a register.
constexpr int kBatchAtOnce = 4;

// Entry index[i] mod 16 of 16 floats in memory.
HWY_INLINE FloatVec LookUp16(const float* table, WordVec index) {
  const FloatTag d;
#if QTIPD_HAVE_LANE_TABLE
  return LaneOfTable(hn::Load(d, table), index);
#elif HWY_TARGET == HWY_AVX2
  const hn::Indices256<float> in_half{index.raw};
  const FloatVec is_high = hn::BitCast(d, hn::ShiftLeft<28>(index));  // bit 3 as the sign
  return hn::IfNegativeThenElse(is_high, hn::TableLookupLanes(hn::Load(d, table + 8), in_half),
                                hn::TableLookupLanes(hn::Load(d, table), in_half));
#else
  const hn::RebindToSigned<FloatTag> di;
  return hn::GatherIndex(d, table, hn::And(hn::BitCast(di, index), hn::Set(di, 15)));
#endif
}

// What four bits of indices, lane by lane, contribute to the output for all 16 values of them.
template <int kBits>
class TableMaker {
 public:
  static constexpr int kCols = 4 / kBits;  // columns that have four bits

  HWY_INLINE explicit TableMaker(const uint8_t* table) {
    for (int k = 0; k < kCols; ++k) {
      for (int i = 0; i < kLutLanes; ++i) {
        uint16_t half;
        std::memcpy(&half, table + 2 * (i >> (k * kBits) & ((1 << kBits) - 1)), sizeof half);
        patterns_[k][i] = HalfToFloat(half);
      }
    }
  }

  // For 128 columns of activations; `tables` is [128 / kCols][16].
  HWY_INLINE void Make(const float* u, float* tables) const {
    const FloatTag d;
    for (int64_t col = 0; col < kLutPanelCols; col += kCols, tables += kLutLanes) {
      for (int64_t i = 0; i < kLutLanes; i += kLanes) {
        FloatVec sum = hn::Mul(hn::Load(d, patterns_[0] + i), hn::Set(d, u[col]));
        HWY_UNROLL(3)
        for (int k = 1; k < kCols; ++k) {
          sum = hn::MulAdd(hn::Load(d, patterns_[k] + i), hn::Set(d, u[col + k]), sum);
        }
        hn::Store(sum, d, tables + i);
      }
    }
  }

 private:
  HWY_ALIGN float patterns_[kCols][kLutLanes];
};

// The scales of one block of the lanes from `part` on.
HWY_INLINE FloatVec LoadScales(const LutSpec& spec, const uint8_t* scales, int64_t block,
                               int64_t first) {
  const FloatTag d;
  const uint8_t* at = scales + 2 * (block * kLutLanes + first);
  if (spec.scale_dtype == DType::kBF16) {
    const hn::Rebind<uint16_t, FloatTag> d16;
    const auto wide =
        hn::PromoteTo(WordTag(), hn::LoadU(d16, reinterpret_cast<const uint16_t*>(at)));
    return hn::BitCast(d, hn::ShiftLeft<16>(wide));
  }
  const hn::Rebind<hwy::float16_t, FloatTag> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(at)));
}

// totals[b][lane] += a record times the activations that `tables` [kBatch][table_floats] were made
// of. kBlockWords words share a scale.
template <int kBits, int kBlockWords, int kBatch>
HWY_INLINE void MultiplyRecord(const LutPanelLayout& layout, const uint8_t* record,
                               const float* tables, float* totals) {
  const FloatTag d;
  constexpr int kWords = kLutPanelCols * kBits / 32;
  constexpr int64_t kTableFloats = kWords * kNibbles * kLutLanes;
  const auto* words = reinterpret_cast<const uint32_t*>(record + layout.scales_bytes);
  for (int part = 0; part < kParts; ++part) {
    const int64_t first = part * kLanes;
    FloatVec total[kBatch];
    HWY_UNROLL(4)
    for (int b = 0; b < kBatch; ++b) total[b] = hn::Load(d, totals + b * kLutLanes + first);
    HWY_UNROLL(1)
    for (int block = 0; block < kWords / kBlockWords; ++block) {
      FloatVec even[kBatch], odd[kBatch];
      HWY_UNROLL(4)
      for (int b = 0; b < kBatch; ++b) even[b] = odd[b] = hn::Zero(d);
      // Unrolled, the compiler looks everything up first and has no registers for it.
      HWY_UNROLL(1)
      for (int w = block * kBlockWords; w < (block + 1) * kBlockWords; ++w) {
        WordVec index = hn::LoadU(WordTag(), words + w * kLutLanes + first);
        const float* of_word = tables + w * kNibbles * kLutLanes;
        HWY_UNROLL(8)
        for (int k = 0; k < kNibbles; ++k) {
          HWY_UNROLL(4)
          for (int b = 0; b < kBatch; ++b) {
            const FloatVec part_sum = LookUp16(of_word + b * kTableFloats + k * kLutLanes, index);
            FloatVec& sum = k % 2 == 0 ? even[b] : odd[b];
            sum = hn::Add(sum, part_sum);
          }
          index = hn::ShiftRight<4>(index);
        }
      }
      if (layout.spec.block == 0) {
        HWY_UNROLL(4)
        for (int b = 0; b < kBatch; ++b) total[b] = hn::Add(total[b], hn::Add(even[b], odd[b]));
      } else {
        const FloatVec scale = LoadScales(layout.spec, record, block, first);
        HWY_UNROLL(4)
        for (int b = 0; b < kBatch; ++b) {
          total[b] = hn::MulAdd(scale, hn::Add(even[b], odd[b]), total[b]);
        }
      }
    }
    HWY_UNROLL(4)
    for (int b = 0; b < kBatch; ++b) hn::Store(total[b], d, totals + b * kLutLanes + first);
  }
}

template <int kBits, int kBlockWords, int kBatch>
HWY_INLINE void MultiplyPanel(const LutPanels& panels, int64_t panel, const float* u, float* z) {
  const LutPanelLayout& layout = *panels.layout;
  constexpr int64_t kTableFloats = kLutPanelCols * kBits / 4 * kLutLanes;
  HWY_ALIGN float tables[kBatch * kTableFloats];
  HWY_ALIGN float totals[kLutMostPanelRecords * kBatch * kLutLanes];
  const TableMaker<kBits> maker(panels.table);
  const int64_t records = layout.records_of(panel);
  std::fill_n(totals, records * kBatch * kLutLanes, 0.0f);
  const uint8_t* record = panels.packed + layout.panel_offset(panel);
  for (int64_t block = 0; block < layout.col_blocks(); ++block) {
    for (int b = 0; b < kBatch; ++b) {
      maker.Make(u + b * layout.padded_cols + block * kLutPanelCols, tables + b * kTableFloats);
    }
    for (int64_t r = 0; r < records; ++r, record += layout.record_bytes) {
      for (int64_t line = 0; line < layout.record_bytes; line += 64) PrefetchStream(record + line);
      MultiplyRecord<kBits, kBlockWords, kBatch>(layout, record, tables,
                                                 totals + r * kBatch * kLutLanes);
    }
  }
  for (int64_t r = 0; r < records; ++r) {
    const int64_t row = (panel * layout.panel_records + r) * kLutLanes;
    const int64_t rows = std::min<int64_t>(kLutLanes, layout.shape.out_features - row);
    for (int b = 0; b < kBatch; ++b) {
      std::copy_n(totals + (r * kBatch + b) * kLutLanes, rows,
                  z + b * layout.shape.out_features + row);
    }
  }
}

template <int kBits, int kBlockWords>
void MultiplyPanels(const LutPanels& panels, const float* u, int64_t batch, float* z) {
  const LutPanelLayout& layout = *panels.layout;
  for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
    int64_t b = 0;
    for (; b + kBatchAtOnce <= batch; b += kBatchAtOnce) {
      MultiplyPanel<kBits, kBlockWords, kBatchAtOnce>(panels, panel, u + b * layout.padded_cols,
                                                      z + b * layout.shape.out_features);
    }
    for (; b < batch; ++b) {
      MultiplyPanel<kBits, kBlockWords, 1>(panels, panel, u + b * layout.padded_cols,
                                           z + b * layout.shape.out_features);
    }
  }
}

void Multiply(const LutPanels& panels, const float* u, int64_t batch, float* z) {
  const LutSpec& spec = panels.layout->spec;
  const int64_t cols = spec.block == 0 ? kLutPanelCols : spec.block;
  switch (cols * spec.bits / 32) {
    case 1:
      return MultiplyPanels<1, 1>(panels, u, batch, z);
    case 2:
      if (spec.bits == 1) return MultiplyPanels<1, 2>(panels, u, batch, z);
      return MultiplyPanels<2, 2>(panels, u, batch, z);
    case 4:
      if (spec.bits == 1) return MultiplyPanels<1, 4>(panels, u, batch, z);
      return MultiplyPanels<2, 4>(panels, u, batch, z);
    default:
      return MultiplyPanels<2, 8>(panels, u, batch, z);
  }
}

// A word is as it was packed, so that a row is decoded along its columns: the word in every lane,
// shifted by as much as the lane's column says.
template <int kBits>
HWY_INLINE void DecodeRecord(const LutPanelLayout& layout, const LutTable16<kBits>& table,
                             const uint8_t* record, int lane, int64_t cols, float* w) {
  const FloatTag d;
  constexpr int64_t kWordCols = 32 / kBits;
  const auto* words = reinterpret_cast<const uint32_t*>(record + layout.scales_bytes) + lane;
  const WordVec steps = hn::Mul(hn::Iota(WordTag(), 0), hn::Set(WordTag(), uint32_t{kBits}));
  for (int64_t col = 0; col < cols; col += kLanes) {
    float scale = 1;
    if (layout.spec.block > 0) {
      uint16_t bits;
      const int64_t block = col >> LutBlockShift(layout.spec);
      std::memcpy(&bits, record + 2 * (block * kLutLanes + lane), sizeof bits);
      scale = LutScaleValue(bits, layout.spec.scale_dtype);
    }
    const uint32_t word = words[col / kWordCols * kLutLanes] >> (col % kWordCols * kBits);
    const WordVec index = hn::Shr(hn::Set(WordTag(), word), steps);
    hn::StoreU(hn::Mul(table[index], hn::Set(d, scale)), d, w + col);
  }
}

template <int kBits>
void DecodePanels(const LutPanels& panels, float* w) {
  const LutPanelLayout& layout = *panels.layout;
  const auto [out, in] = layout.shape;
  const LutTable16<kBits> table(panels.table);
  for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const uint8_t* packed = panels.packed + layout.panel_offset(panel);
    const int64_t records = layout.records_of(panel);
    for (int64_t r = 0; r < records * kLutLanes; ++r) {
      const int64_t row = panel * layout.panel_records * kLutLanes + r;
      if (row >= out) return;
      for (int64_t block = 0; block < layout.col_blocks(); ++block) {
        const int64_t first = block * kLutPanelCols;
        DecodeRecord<kBits>(layout, table,
                            packed + (block * records + r / kLutLanes) * layout.record_bytes,
                            static_cast<int>(r % kLutLanes), std::min(kLutPanelCols, in - first),
                            w + row * in + first);
      }
    }
  }
}

void Decode(const LutPanels& panels, float* w) {
  if (panels.layout->spec.bits == 1) return DecodePanels<1>(panels, w);
  DecodePanels<2>(panels, w);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(Multiply);
HWY_EXPORT(Decode);

LutPanelLayout::LutPanelLayout(const LutSpec& spec, Shape shape, int threads)
    : spec(spec),
      shape(shape),
      padded_cols(RoundUp(shape.in_features, kLutPanelCols)),
      records((shape.out_features + kLutLanes - 1) / kLutLanes),
      scales_bytes(spec.block == 0 ? 0 : kLutPanelCols / spec.block * kLutLanes * 2),
      record_bytes(scales_bytes + kLutPanelCols * kLutLanes * spec.bits / 8) {
  const int64_t of_thread = (records + threads - 1) / threads;
  const int64_t parts = (of_thread + kLutMostPanelRecords - 1) / kLutMostPanelRecords * threads;
  panel_records = (records + parts - 1) / parts;
  panels = (records + panel_records - 1) / panel_records;
}

void RepackLutPanels(const LutLayer& layer, const LutPanelLayout& layout, int64_t begin,
                     int64_t end, uint8_t* packed) {
  const auto [out, in] = layer.shape;
  const LutSpec& spec = layer.spec;
  const int64_t word_cols = 32 / spec.bits;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t records = layout.records_of(panel);
    for (int64_t i = 0; i < records * layout.col_blocks(); ++i) {
      uint8_t* record = packed + layout.panel_offset(panel) + i * layout.record_bytes;
      std::memset(record, 0, layout.record_bytes);
      const int64_t first_col = i / records * kLutPanelCols;
      const int64_t cols = std::min(kLutPanelCols, in - first_col);
      for (int64_t lane = 0; lane < kLutLanes; ++lane) {
        const int64_t row = (panel * layout.panel_records + i % records) * kLutLanes + lane;
        if (row >= out) break;
        for (int64_t block = 0; spec.block > 0 && block < cols / spec.block; ++block) {
          const int64_t at = row * spec.row_blocks(in) + first_col / spec.block + block;
          std::memcpy(record + 2 * (block * kLutLanes + lane), &layer.scales[at], 2);
        }
        for (int64_t word = 0; word * word_cols < cols; ++word) {
          const int64_t left = std::min(word_cols, cols - word * word_cols);
          std::memcpy(record + layout.scales_bytes + 4 * (word * kLutLanes + lane),
                      layer.row(row) + spec.row_bytes(first_col + word * word_cols),
                      spec.row_bytes(left));
        }
      }
    }
  }
}

void LutPanelMultiply(const LutPanels& panels, const float* u, int64_t batch, float* z) {
  HWY_DYNAMIC_DISPATCH(Multiply)(panels, u, batch, z);
}

void LutPanelDecode(const LutPanels& panels, float* w) { HWY_DYNAMIC_DISPATCH(Decode)(panels, w); }

}  // namespace qtipd
#endif  // HWY_ONCE
