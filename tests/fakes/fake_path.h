// A path that multiplies by the format's fused kernel: steps fused_decode and output_scale.
#ifndef QTIPD_TESTS_FAKES_FAKE_PATH_H_
#define QTIPD_TESTS_FAKES_FAKE_PATH_H_

#include <memory>

#include "kernels/api/inference_path.h"

namespace qtipd {

// Id `fused`. Refuses batches beyond max_fused_batch() with BATCH_UNSUPPORTED.
std::unique_ptr<InferencePath> MakeFakePath();

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_PATH_H_
