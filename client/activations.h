// Element types of activations, as commands name them and tables show them.
#ifndef QTIPD_CLIENT_ACTIVATIONS_H_
#define QTIPD_CLIENT_ACTIVATIONS_H_

#include <string>
#include <string_view>

#include "qtipd/v1/benchmark.pb.h"
#include "qtipd/v1/profile.pb.h"

namespace qtipd {

// "bf16" as the daemon spells it, "BF16"; it knows what its device takes. Of "default" nothing,
// which is the device's compute dtype.
std::string ActivationName(std::string_view text);

// The activations' dtype where it is not the device's compute dtype, else nothing.
std::string OtherActivations(const v1::Run& run, const v1::BenchmarkResult& result);
std::string OtherActivations(const v1::Profile& profile);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_ACTIVATIONS_H_
