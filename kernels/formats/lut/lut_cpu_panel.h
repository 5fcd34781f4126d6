// One codebook of two or four entries on the CPU: four bits of indices, those of four or two
// neighbouring columns, are looked up at once in a table of what they contribute to the output,
// made from the codebook and the activations.
//
// A lane is a row. A layer lies in panels of rows, a panel in blocks of 128 columns, a block in
// records of 16 rows:
//
//   record:  [scales of 128 / block_size blocks: 16 fp16 or bf16, one a row]
//            [words of the 128 columns: 16 x 32 bits, one a row, as they are packed]
//
// A panel has as many records to a block as spread the rows over the threads, so that the tables of
// a block serve many rows; results do not depend on it. Columns up to a whole block are filled up
// with index 0, rows up to a whole record with index 0 and scale 0.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_PANEL_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_PANEL_H_

#include <cstdint>

#include "kernels/formats/lut/lut_cpu_layout.h"

namespace qtipd {

inline constexpr int64_t kLutPanelCols = 128;
inline constexpr int64_t kLutMostPanelRecords = 32;

constexpr bool LutUsesPanels(const LutSpec& spec) { return !spec.is_per_channel && spec.bits <= 2; }

struct LutPanelLayout {
  LutPanelLayout(const LutSpec& spec, Shape shape, int threads);

  LutSpec spec;
  Shape shape;
  int64_t padded_cols = 0;
  int64_t records = 0;        // of 16 rows, in a block of columns
  int64_t panel_records = 0;  // of one panel; the last may have fewer
  int64_t panels = 0;
  int64_t scales_bytes = 0;  // of a record
  int64_t record_bytes = 0;

  int64_t col_blocks() const { return padded_cols / kLutPanelCols; }
  int64_t records_of(int64_t panel) const {
    return std::min(panel_records, records - panel * panel_records);
  }
  int64_t panel_offset(int64_t panel) const {
    return panel * panel_records * col_blocks() * record_bytes;
  }
  int64_t bytes() const { return records * col_blocks() * record_bytes; }
};

// Panels [begin, end) of a layer.
struct LutPanels {
  const LutPanelLayout* layout = nullptr;
  const uint8_t* packed = nullptr;  // of panel 0
  const uint8_t* table = nullptr;   // of the codebook: WriteLutTable
  int64_t begin = 0;
  int64_t end = 0;
};

// Brings panels [begin, end) into the order above.
void RepackLutPanels(const LutLayer& layer, const LutPanelLayout& layout, int64_t begin,
                     int64_t end, uint8_t* packed);

// As LutCpuMultiply and LutCpuDecode of lut_cpu_kernel.h, for the rows of the panels. Sums are in
// an order that depends on nothing.
void LutPanelMultiply(const LutPanels& panels, const float* u, int64_t batch, float* z);
void LutPanelDecode(const LutPanels& panels, float* w);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_PANEL_H_
