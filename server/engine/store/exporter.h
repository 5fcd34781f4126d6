// Turns an artefact into a safetensors file on its way to a client.
#ifndef QTIPD_SERVER_ENGINE_STORE_EXPORTER_H_
#define QTIPD_SERVER_ENGINE_STORE_EXPORTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/registry.h"
#include "kernels/api/weight_format.h"
#include "server/engine/engine.h"

namespace qtipd {

// Writes `layer` as the format's checkpoint tensors, or as one F32 tensor `weight` [out_features,
// in_features] computed by the format's reference, into a nameless file in `directory`: nothing is
// left of it once the stream is gone. Blocking; takes 4 bytes of memory per weight for kDense.
absl::StatusOr<std::unique_ptr<ExportStream>> PrepareExport(const PackedLayer& layer,
                                                            ExportForm form,
                                                            const Registry& registry,
                                                            const std::string& directory);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_EXPORTER_H_
