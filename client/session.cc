#include "client/session.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_join.h"
#include "client/rpc_status.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// How long to wait for a daemon that may be starting, where --timeout does not say.
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

absl::StatusOr<Reply> ReadFrom(Session& session, const std::string& target,
                               const std::function<absl::StatusOr<Reply>(Connection&)>& read) {
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.Connect(target));
  return read(*connection);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Session::ConnectOne() {
  if (options_.targets.size() != 1) {
    return InvalidField("TARGET_AMBIGUOUS", "target", absl::StrJoin(options_.targets, ","),
                        "exactly one for this command");
  }
  return Connect(options_.targets[0]);
}

absl::StatusOr<std::unique_ptr<Connection>> Session::Connect(const std::string& target) {
  return Connect(target, options_.is_timeout_given ? options_.timeout : kConnectTimeout);
}

absl::StatusOr<std::unique_ptr<Connection>> Session::Connect(const std::string& target,
                                                             absl::Duration limit) {
  return Connection::Open(target, std::min(limit, options_.timeout), options_.timeout);
}

void Session::PrintJson(const nlohmann::ordered_json& json) {
  out_ << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void Session::Print(const Table& table) { out_ << RenderTable(table, options_.output); }

void Session::PrintNote(const std::string& text) {
  if (options_.output == OutputFormat::kTable || options_.output == OutputFormat::kMarkdown) {
    out_ << text << "\n";
  }
}

void Session::PrintError(const absl::Status& status) {
  err_ << ErrorLine(status) << "\n";
  if (!is_json()) return;
  err_ << ToJson(ToRpcStatus(status)).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
       << "\n";
}

absl::StatusOr<int> ReadFromTargets(Session& session,
                                    const std::function<absl::StatusOr<Reply>(Connection&)>& read) {
  const std::vector<std::string>& targets = session.options().targets;
  const bool is_fan_out = targets.size() > 1;
  int exit_code = kExitDone;
  std::optional<Table> table;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const std::string& target : targets) {
    absl::StatusOr<Reply> reply = ReadFrom(session, target, read);
    if (!reply.ok()) {
      if (!is_fan_out) return reply.status();
      session.PrintError(reply.status());
      exit_code = kExitError;
      continue;
    }
    exit_code = std::max(exit_code, reply->exit_code);
    if (is_fan_out) {
      reply->table.Prepend({"target", "target"}, target);
      nlohmann::ordered_json entry = {{"target", target}};
      entry.update(reply->json);
      reply->json = std::move(entry);
    }
    json.push_back(std::move(reply->json));
    if (table) {
      table->Append(reply->table);
    } else {
      table = std::move(reply->table);
    }
  }
  if (session.is_json()) {
    session.PrintJson(is_fan_out ? nlohmann::ordered_json{{"targets", json}} : json[0]);
  } else if (table) {
    session.Print(*table);
  }
  return exit_code;
}

}  // namespace qtipd
