// The final resource of a command, in the format that was asked for.
#ifndef QTIPD_CLIENT_PRESENT_H_
#define QTIPD_CLIENT_PRESENT_H_

#include <vector>

#include "client/session.h"

namespace qtipd {

// The message as JSON, or one row.
void PresentArtifact(Session& session, const v1::Artifact& artifact);

// The model as one row, and a line about what the daemon does not hold of it.
void PresentModel(Session& session, const v1::Model& model);

// One run as JSON, several as {"runs": [...]}; else the table of results and, for people, the
// steps.
void PresentRuns(Session& session, const std::vector<v1::Run>& runs);

// The message as JSON, or every metric as CSV; for people what was profiled, the counters, the
// stall reasons, the hottest instructions, and what limits the path.
void PresentProfile(Session& session, const v1::Profile& profile);

// What the results say about the check that every benchmark makes: kExitCheckFailed if an output
// was further from the reference than allowed, kExitError if nothing could be measured, else
// kExitDone. Cells that could not be measured are named on stderr.
int JudgeRuns(Session& session, const std::vector<v1::Run>& runs);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PRESENT_H_
