// qtipctl quantize --name N --format F --code C --bits B (--random OUTxIN | --input FILE |
// --server-path P)
#include <filesystem>
#include <memory>
#include <vector>

#include "client/commands/commands.h"
#include "client/format_options.h"
#include "client/operation_wait.h"
#include "client/parse.h"
#include "client/present.h"
#include "client/rpc_status.h"
#include "client/transfer.h"
#include "kernels/io/hessian_name.h"
#include "kernels/io/safetensors.h"

namespace qtipd {
namespace {

struct QuantizeFlags {
  std::string name;
  std::string format = "qtip";
  FormatFlags options;
  std::string random;
  std::string distribution;  // empty: normal
  std::string input;
  std::string server_path;
  std::string tensor;
  std::string hessian;
  std::string seed = "0";
  bool if_absent = false;
};

// Where a Hessian is: a tensor of the weights' file, or of `file` if that is not empty, or one that
// the daemon keeps under a name.
struct HessianPlace {
  std::string file;
  std::string tensor;
  std::string calibrated;
};

absl::StatusOr<HessianPlace> ParseHessian(const std::string& text) {
  HessianPlace place;
  if (text.starts_with("@")) {
    place.calibrated = text.substr(1);
    if (!place.calibrated.empty()) return place;
    return UsageError("--hessian", "'@'", "@NAME of one that was calibrated");
  }
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos) place.file = text.substr(0, colon);
  place.tensor = colon == std::string::npos ? text : text.substr(colon + 1);
  if (place.tensor.empty() || colon == 0) {
    return UsageError("--hessian", "'" + text + "'", "TENSOR, FILE:TENSOR or @NAME");
  }
  return place;
}

absl::Status CheckSource(const QuantizeFlags& flags) {
  const int sources = !flags.random.empty() + !flags.input.empty() + !flags.server_path.empty();
  if (sources != 1) {
    return UsageError("source", sources == 0 ? "nothing" : "more than one",
                      "exactly one of --random, --input, --server-path");
  }
  if (flags.random.empty() && flags.tensor.empty()) {
    return UsageError("--tensor", "nothing", "the name of a tensor in the file");
  }
  if (flags.random.empty() && !flags.distribution.empty()) {
    return UsageError("--distribution", flags.distribution, "beside --random only");
  }
  if (!flags.random.empty() && !(flags.tensor.empty() && flags.hessian.empty())) {
    return UsageError("source", "--random with --tensor or --hessian", "either of the two");
  }
  return absl::OkStatus();
}

// The tensors that the request names, and no others; they fill `matrix` with their names.
absl::StatusOr<TensorMap> ReadInput(const QuantizeFlags& flags, const HessianPlace& hessian,
                                    v1::TensorMatrix& matrix) {
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file, ReadSafetensors(flags.input));
  TensorMap named;
  QTIPD_ASSIGN_OR_RETURN(named[flags.tensor], FindTensor(file.tensors, flags.tensor, flags.input));
  matrix.set_display_name(std::filesystem::path(flags.input).filename().string());
  if (hessian.tensor.empty()) return named;
  SafetensorsFile other = file;
  if (!hessian.file.empty()) {
    QTIPD_ASSIGN_OR_RETURN(other, ReadSafetensors(hessian.file));
  }
  QTIPD_ASSIGN_OR_RETURN(
      const HostTensor found,
      FindTensor(other.tensors, hessian.tensor, hessian.file.empty() ? flags.input : hessian.file));
  // Names of two files may be the same; here they share one.
  const bool is_taken =
      hessian.tensor == flags.tensor || HessianMeanName(hessian.tensor) == flags.tensor;
  matrix.set_hessian_tensor(is_taken ? flags.tensor + ".hessian" : hessian.tensor);
  named[matrix.hessian_tensor()] = found;
  const auto mean = other.tensors.find(HessianMeanName(hessian.tensor));
  if (found.shape().size() == 1 && mean != other.tensors.end()) {
    named[HessianMeanName(matrix.hessian_tensor())] = mean->second;
  }
  return named;
}

// Fills the request's source. What is to travel to the daemon comes back, read and checked, so that
// a mistake here is told before anything is asked of a daemon.
absl::StatusOr<TensorMap> FillSource(const QuantizeFlags& flags,
                                     v1::StartQuantizeRequest& request) {
  QTIPD_RETURN_IF_ERROR(CheckSource(flags));
  if (!flags.random.empty()) {
    QTIPD_ASSIGN_OR_RETURN(*request.mutable_random()->mutable_shape(),
                           ParseShape("--random", flags.random));
    request.mutable_random()->set_seed(request.seed());
    request.mutable_random()->set_distribution(flags.distribution);
    return TensorMap();
  }
  HessianPlace hessian;
  if (!flags.hessian.empty()) {
    QTIPD_ASSIGN_OR_RETURN(hessian, ParseHessian(flags.hessian));
  }
  v1::TensorMatrix& matrix = *request.mutable_tensor();
  matrix.set_tensor(flags.tensor);
  matrix.set_hessian_name(hessian.calibrated);
  if (!flags.input.empty()) return ReadInput(flags, hessian, matrix);
  matrix.mutable_file()->set_server_path(flags.server_path);
  matrix.set_hessian_tensor(hessian.tensor);
  if (!hessian.file.empty()) matrix.mutable_hessian_file()->set_server_path(hessian.file);
  return TensorMap();
}

absl::StatusOr<int> Quantize(Session& session, const QuantizeFlags& flags) {
  v1::StartQuantizeRequest request;
  QTIPD_ASSIGN_OR_RETURN(const uint64_t seed, ParseSeed("--seed", flags.seed));
  request.set_seed(seed);
  QTIPD_ASSIGN_OR_RETURN(const TensorMap sent, FillSource(flags, request));
  request.set_request_id(NewRequestId());
  request.set_name(flags.name);
  request.set_device(session.options().device);
  request.set_format(flags.format);
  request.set_if_absent(flags.if_absent);
  QTIPD_RETURN_IF_ERROR(FillFormatOptions(flags.options, *request.mutable_format_options()));
  QTIPD_ASSIGN_OR_RETURN(const auto connection, session.ConnectOne());
  if (!sent.empty()) {
    QTIPD_ASSIGN_OR_RETURN(
        *request.mutable_tensor()->mutable_file()->mutable_upload_id(),
        UploadTensors(session, *connection, sent, request.tensor().display_name()));
  }
  QTIPD_ASSIGN_OR_RETURN(const Operation started,
                         connection->Call(&v1::QtipService::Stub::StartQuantize, request));
  QTIPD_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                         AwaitResult<v1::Artifact>(session, *connection, started));
  PresentArtifact(session, artifact);
  return kExitDone;
}

}  // namespace

void AddQuantizeCommand(CLI::App& root, Action& action) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* verb = AddVerb(root, "quantize", "Quantize a matrix and keep it as an artefact");
  verb->add_option("--name", flags->name, "The artefact's name, [A-Za-z0-9._/-]{1,200}")
      ->required();
  verb->add_option("--format", flags->format, "Weight format, see 'qtipctl info'")
      ->capture_default_str();
  AddFormatFlags(*verb, flags->options);
  verb->add_option("--random", flags->random,
                   "Random weights, out_features x in_features, like 4096x4096");
  verb->add_option("--distribution", flags->distribution,
                   "Of random weights: normal (the default), student_t5 or uniform");
  verb->add_option("--seed", flags->seed, "Of the random weights and of the format's random signs")
      ->capture_default_str();
  verb->add_option("--input", flags->input, "A safetensors file here; the tensors named travel");
  verb->add_option("--server-path", flags->server_path, "A safetensors file on the daemon's host");
  verb->add_option("--tensor", flags->tensor, "The weights' name in the file, F16, BF16 or F32");
  verb->add_option(
      "--hessian", flags->hessian,
      "Hessian of the inputs: TENSOR of the same file, FILE:TENSOR, or @NAME of one that "
      "was calibrated");
  verb->add_flag("--if-absent", flags->if_absent,
                 "Return the artefact of that name if it was made by the same recipe");
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return Quantize(session, *flags); };
  });
}

}  // namespace qtipd
