// Records as JSON text, for the columns of the history that no query selects by.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_RECORD_JSON_H_
#define QTIPD_SERVER_ENGINE_HISTORY_RECORD_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/types.h"

namespace qtipd {

// Every To/From pair is lossless, but that NaN and infinities come back as NaN. Errors of the From
// functions: DataLoss/HISTORY_RECORD_DAMAGED.
std::string ArtifactToJson(const ArtifactRecord& record);
absl::StatusOr<ArtifactRecord> ArtifactFromJson(const std::string& text);

// Without id and results.
std::string RunToJson(const RunRecord& run);
absl::StatusOr<RunRecord> RunFromJson(const std::string& text);

// Without samples.
std::string ResultToJson(const BenchmarkResult& result);
absl::StatusOr<BenchmarkResult> ResultFromJson(const std::string& text);

// Without id.
std::string OperationToJson(const OperationRecord& operation);
absl::StatusOr<OperationRecord> OperationFromJson(const std::string& text);

// {"name": value}, sorted by name; the same text for the same values.
std::string OptionsToJson(const Options& options);
absl::StatusOr<Options> OptionsFromJson(const std::string& text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_RECORD_JSON_H_
