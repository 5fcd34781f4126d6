// Prints the default table of code `hyb` as kept in qtip_default_codebook.inc:
//   train_codebook > kernels/formats/qtip/qtip_default_codebook.inc
#include <algorithm>
#include <cstdio>
#include <thread>

#include "kernels/formats/qtip/tools/codebook_training.h"

int main() {
  qtipd::ThreadPool pool(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  const std::vector<uint16_t> tlut = qtipd::TrainHybCodebook(pool);
  std::printf("// Printed by tools/train_codebook.cc; 512 pairs of fp16 bits. Frozen.\n");
  for (size_t i = 0; i < tlut.size(); ++i) {
    std::printf("0x%04X,%s", static_cast<unsigned>(tlut[i]), i % 12 == 11 ? "\n" : " ");
  }
  std::printf("\n");
  return 0;
}
