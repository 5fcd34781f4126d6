// Runs a check under every instruction set that a kernel was compiled for.
#ifndef QTIPD_TESTS_KERNELS_CPU_EACH_TARGET_H_
#define QTIPD_TESTS_KERNELS_CPU_EACH_TARGET_H_

#include <gtest/gtest.h>

#include "hwy/targets.h"

namespace qtipd {

// Runs `check` once for every instruction set that this processor has: with it and those below it,
// so that a kernel that was not compiled for it falls back as it would on a processor. Those that
// the build leaves out, and those below what it takes for granted, are compiled nowhere.
template <typename Check>
void ForEachTarget(const Check& check) {
  const int64_t supported = hwy::SupportedTargets() & ~int64_t{HWY_DISABLED_TARGETS};
  for (int64_t left = supported; left != 0 && (left & -left) <= HWY_STATIC_TARGET;
       left &= left - 1) {
    SCOPED_TRACE(hwy::TargetName(left & -left));
    hwy::SetSupportedTargetsForTest(left);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_CPU_EACH_TARGET_H_
