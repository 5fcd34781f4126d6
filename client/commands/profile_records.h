// The verbs below `qtipctl profile` that read what was profiled before.
#ifndef QTIPD_CLIENT_COMMANDS_PROFILE_RECORDS_H_
#define QTIPD_CLIENT_COMMANDS_PROFILE_RECORDS_H_

#include "client/commands/commands.h"

namespace qtipd {

// list, show, compare, export
void AddProfileRecordVerbs(CLI::App& profile, Action& action);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_COMMANDS_PROFILE_RECORDS_H_
