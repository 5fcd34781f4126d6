// The CSV files that a suite leaves behind, with the columns of the published benchmark. A cell
// that was not measured is empty, never 0.
#ifndef QTIPD_CLIENT_SUITE_FILES_H_
#define QTIPD_CLIENT_SUITE_FILES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/benchmark.pb.h"
#include "qtipd/v1/common.pb.h"

namespace qtipd {

// What a suite measured: artefact i and run i are those of rate i. There are fewer of them than
// rates where the suite was ended; their rows are empty.
struct SuiteResults {
  std::vector<int64_t> bits;
  v1::Device device;
  std::vector<v1::Artifact> artifacts;
  std::vector<v1::Run> runs;
};

// K,total_s,preprocess_s,block_ldl_s,viterbi_s,postprocess_s: seconds of quantizing, from the
// artefacts' records, whenever they were made.
std::string QuantTimingsCsv(const SuiteResults& results);

// config,w_mse,out_mse,w_bytes,ratio,ms,gb_s of one path: medians, after the row of the dense
// baseline ("FP16" or "FP32", what the device computes with), which is that of the first run.
std::string DequantCsv(const SuiteResults& results);

// The columns of DequantCsv, then input_rot_ms,fused_decode_ms,packed_read_ms,decode_overhead_ms,
// output_rot_ms,output_scale_ms,kernel_codebook_ms,kernel_loop_ms,kernel_reduce_ms,kernel_total_ms.
// decode_overhead_ms is fused_decode_ms minus packed_read_ms; kernel_total_ms is the
// kernel from its first block's begin to its last block's end, phases and launch skew together.
std::string FusedCsv(const SuiteResults& results);

// A device's name as one folder's name: "Intel_R_Xeon_R_CPU".
std::string FolderName(const std::string& device_name);

// Makes the folders above `path` and puts a file of `text` there, whole or not at all; it replaces
// one that exists. Errors: FILE_NOT_WRITABLE, DISK_FULL.
absl::Status WriteTextFile(const std::filesystem::path& path, const std::string& text);

// Writes quant_timings.csv, dequant/results.csv and fused/results.csv below
// `directory`/<device name>/ and returns their paths. Errors: FILE_NOT_WRITABLE.
absl::StatusOr<std::vector<std::string>> WriteSuiteFiles(const SuiteResults& results,
                                                         const std::string& directory);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_FILES_H_
