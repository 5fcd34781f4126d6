// The whole of qtipctl behind main().
#ifndef QTIPD_CLIENT_APP_H_
#define QTIPD_CLIENT_APP_H_

#include <ostream>

namespace qtipd {

// Parses the command line, runs its verb and returns the exit code. Progress is drawn on `err`
// where the process's stderr is a terminal. Blocks until the work is done.
int RunClient(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_APP_H_
