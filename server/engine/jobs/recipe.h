// Hashes that tell whether two requests ask for the same thing.
#ifndef QTIPD_SERVER_ENGINE_JOBS_RECIPE_H_
#define QTIPD_SERVER_ENGINE_JOBS_RECIPE_H_

#include <string>

#include "kernels/api/weight_format.h"
#include "server/engine/profile/profile_types.h"
#include "server/engine/types.h"

namespace qtipd {

// What an artefact is made of: format, every option, shape, sign seed and the source's content. The
// backend is not part of it: the same request means the same artefact on any device.
std::string QuantizeRecipe(const QuantizeSpec& spec, const Options& options, Shape shape,
                           const std::string& source_content);
std::string ImportRecipe(const PackedLayer& layer);

// Of a whole request but its request_id; an upload counts by its content, so that a retry that
// uploads again is still the same request.
std::string SpecSha256(const QuantizeSpec& spec);
std::string SpecSha256(const ImportSpec& spec);
std::string SpecSha256(const CalibrateSpec& spec);
std::string SpecSha256(const BenchmarkSpec& spec);
std::string SpecSha256(const ProfileSpec& spec);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_RECIPE_H_
