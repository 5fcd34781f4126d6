// Generated at configure time from the folders of kernels/formats/ and the files of kernels/paths/.
#ifndef QTIPD_KERNELS_API_BUILTIN_H_
#define QTIPD_KERNELS_API_BUILTIN_H_

#include "kernels/api/registry.h"

namespace qtipd {

// Every format with its CPU backend; link qtipd::builtin_formats.
void RegisterBuiltinFormats(Registry& registry);
// Every path; link qtipd::builtin_paths.
void RegisterBuiltinPaths(Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_BUILTIN_H_
