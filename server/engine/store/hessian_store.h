// Calibrated Hessians on disk: content-addressed files with their records in the history.
#ifndef QTIPD_SERVER_ENGINE_STORE_HESSIAN_STORE_H_
#define QTIPD_SERVER_ENGINE_STORE_HESSIAN_STORE_H_

#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"
#include "server/engine/history/history_store.h"
#include "server/engine/types.h"

namespace qtipd {

// A Hessian's file is a safetensors file with one tensor `sum`, F64 [n(n+1)/2]: the lower triangle
// of X^T X by rows. Thread-safe. A file appears before its record and goes after it.
class HessianStore {
 public:
  // `history` outlives the store; `directory` exists.
  HessianStore(std::string directory, HistoryStore& history);

  // Removes what a crash left half-written, and reports files that no record names (log).
  absl::Status Restore();

  struct Stored {
    HessianRecord record;
    HostTensor sum;  // a view of the mapped file, which outlives its name
  };
  // Errors: NotFound/HESSIAN_NOT_FOUND; DataLoss/HESSIAN_FILE_DAMAGED where the file is not there
  // or not of the record's size.
  absl::StatusOr<Stored> Open(const std::string& name);
  // Whether `name` is free. Errors: NAME_INVALID; AlreadyExists/HESSIAN_EXISTS.
  absl::Status CheckNewName(const std::string& name);

  absl::StatusOr<HessianRecord> Get(const std::string& name) { return history_.GetHessian(name); }
  absl::StatusOr<Page<HessianRecord>> List(const PageRequest& page) {
    return history_.ListHessians(page);
  }
  absl::Status Delete(const std::string& name);

  // Writes the rows of a triangle one after another: the sink takes them in order.
  using Row = std::span<const double>;
  using RowSink = std::function<absl::Status(Row)>;
  using RowSource = std::function<absl::Status(const RowSink&)>;
  // Writes a file from what `rows` delivers, n(n+1)/2 values in all, and then its record, which is
  // new or, where `replaced_sha256` is not empty, takes the place of the one of that name with that
  // content. Fills in sha256 and
  // stored_bytes; `rows` may fill in what it knows at its end. Blocking; holds no more than a row.
  // Errors: those of `rows`; HESSIAN_EXISTS; HESSIAN_NOT_FOUND; Aborted/HESSIAN_CHANGED where it
  // has other content by now; DISK_FULL, FILE_WRITE_FAILED.
  absl::Status Save(HessianRecord& record, const std::string& replaced_sha256,
                    const RowSource& rows);

 private:
  std::string PathOf(const std::string& sha256) const;
  // With the lock held.
  void RemoveUnnamedFile(const std::string& sha256);

  const std::string directory_;
  HistoryStore& history_;
  std::mutex mutex_;  // keeps Save and Delete apart
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_HESSIAN_STORE_H_
