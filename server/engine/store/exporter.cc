#include "server/engine/store/exporter.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/safetensors.h"
#include "server/base/atomic_file.h"
#include "server/base/sha256.h"

namespace qtipd {
namespace {

class FileStream final : public ExportStream {
 public:
  FileStream(int descriptor, uint64_t bytes, std::string sha256)
      : descriptor_(descriptor), bytes_(bytes), sha256_(std::move(sha256)) {}
  ~FileStream() override { close(descriptor_); }
  uint64_t total_bytes() const override { return bytes_; }
  const std::string& sha256() const override { return sha256_; }
  absl::StatusOr<size_t> Read(std::span<std::byte> chunk) override {
    while (true) {
      const ssize_t size = read(descriptor_, chunk.data(), chunk.size());
      if (size >= 0) return static_cast<size_t>(size);
      if (errno == EINTR) continue;
      return MakeError(absl::StatusCode::kInternal, "FILE_READ_FAILED",
                       std::string("reading an export: ") + std::strerror(errno));
    }
  }

 private:
  const int descriptor_;
  const uint64_t bytes_;
  const std::string sha256_;
};

absl::StatusOr<TensorMap> TensorsOf(const PackedLayer& layer, ExportForm form,
                                    const WeightFormat& format) {
  if (form == ExportForm::kPacked) return format.Export(layer);
  QTIPD_ASSIGN_OR_RETURN(std::vector<float> weights, format.ReferenceWeights(layer));
  TensorMap tensors;
  tensors["weight"] = HostTensor::Take(
      DType::kF32, {layer.shape.out_features, layer.shape.in_features}, std::move(weights));
  return tensors;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExportStream>> PrepareExport(const PackedLayer& layer,
                                                            ExportForm form,
                                                            const Registry& registry,
                                                            const std::string& directory) {
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format, registry.FindFormat(layer.format));
  QTIPD_ASSIGN_OR_RETURN(const TensorMap tensors, TensorsOf(layer, form, *format));
  QTIPD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(directory));
  Sha256 hash;
  uint64_t total = 0;
  QTIPD_RETURN_IF_ERROR(
      WriteSafetensors(tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) {
        hash.Update(bytes);
        total += bytes.size();
        return file.Write(bytes);
      }));
  QTIPD_ASSIGN_OR_RETURN(const int descriptor, file.ReleaseUnnamed());
  return std::make_unique<FileStream>(descriptor, total, hash.Finish());
}

}  // namespace qtipd
