// What every command gets: the global options, the daemons, and where to print.
#ifndef QTIPD_CLIENT_SESSION_H_
#define QTIPD_CLIENT_SESSION_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/output.h"

namespace qtipd {

struct GlobalOptions {
  std::vector<std::string> targets;
  OutputFormat output = OutputFormat::kTable;
  absl::Duration timeout = absl::Seconds(60);
  bool is_timeout_given = false;  // then it bounds the wait for operations too
  std::string device;             // empty: the daemon's first healthy one
};

// Used by one thread.
class Session {
 public:
  // The streams outlive the session.
  Session(GlobalOptions options, std::ostream& out, std::ostream& err)
      : options_(std::move(options)), out_(out), err_(err) {}

  const GlobalOptions& options() const { return options_; }
  bool is_json() const { return options_.output == OutputFormat::kJson; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  // The only target. Errors: TARGET_AMBIGUOUS, TARGET_UNREACHABLE.
  absl::StatusOr<std::unique_ptr<Connection>> ConnectOne();
  absl::StatusOr<std::unique_ptr<Connection>> Connect(const std::string& target);
  // At most `limit` for a daemon to answer, for commands that go on without one.
  absl::StatusOr<std::unique_ptr<Connection>> Connect(const std::string& target,
                                                      absl::Duration limit);

  void PrintJson(const nlohmann::ordered_json& json);
  void Print(const Table& table);
  // A line about what was done, where people read: nothing with -o json or csv.
  void PrintNote(const std::string& text);
  // The one line on stderr, and with -o json the whole google.rpc.Status after it.
  void PrintError(const absl::Status& status);

 private:
  GlobalOptions options_;
  std::ostream& out_;
  std::ostream& err_;
};

// What one target answered to a read: its JSON and its rows. `exit_code` is not 0 where the answer
// itself is bad news (not healthy).
struct Reply {
  nlohmann::ordered_json json;
  Table table;
  int exit_code = 0;
};

// Asks every target in turn. One target's answer is printed as it is; several get a `target`
// column, and {"targets": [{"target": ..., ...}]} as JSON. A target that fails is reported and the
// others still answer; the exit code is the largest one, kExitError for a failed target.
absl::StatusOr<int> ReadFromTargets(Session& session,
                                    const std::function<absl::StatusOr<Reply>(Connection&)>& read);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SESSION_H_
