// The texts of machine instructions, from the toolkit's disassembler where there is one.
#ifndef QTIPD_SERVER_PROFILER_DISASSEMBLY_H_
#define QTIPD_SERVER_PROFILER_DISASSEMBLY_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/profiler/profile_protocol.h"

namespace qtipd {

// Function and offset from its start -> text.
using SassTexts = std::map<std::pair<std::string, uint64_t>, std::string>;

// Out of what `cuobjdump -sass` prints.
SassTexts ParseSass(std::string_view listing);

// cuobjdump beside the program, in CUDA_HOME/bin, /usr/local/cuda/bin or PATH; empty: none.
std::string FindCuobjdump();

// Fills in the texts of instructions of functions in `library`, whose function is still the
// linker's name; those of other libraries keep none. A disassembler that takes longer
// than `timeout_seconds` is ended, and not asked again. Returns why texts are missing, or "".
std::string Disassemble(const std::string& cuobjdump, const std::string& library,
                        std::vector<HotInstruction>& instructions, double timeout_seconds = 20);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_DISASSEMBLY_H_
