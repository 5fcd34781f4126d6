// Prints what docs/performance/ records; no test, asserts nothing about time. Arguments: rows,
// columns; "sizes" for rotations and linears of published sizes; "linears" for a few linears; or
// "multiply" for the bare fused kernel on the sizes of docs/performance/fused.md, or with ROWS
// COLUMNS CODE:BITS BATCH... on one size. Weight copies total at least 320 MB, so that L2 is cold;
// graph replays, medians.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "kernels/api/random.h"
#include "kernels/cuda/cuda_ceiling.h"
#include "kernels/cuda/cuda_ceiling_kernels.h"
#include "kernels/cuda/cuda_gate.h"
#include "kernels/formats/qtip/qtip_cuda_quantize.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_cuda_weights.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_format.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr uint64_t kColdBytes = 320'000'000;
constexpr int kReplays = 21;

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", std::string(result.status().message()).c_str());
    std::exit(2);
  }
  return std::move(*result);
}

// Median seconds of one of `launches` calls of enqueue(i).
template <typename Enqueue>
double Median(CudaDevice& device, int launches, const Enqueue& enqueue) {
  const auto recording = Value(device.Record([&]() -> absl::Status {
    for (int i = 0; i < launches; ++i) QTIPD_RETURN_IF_ERROR(enqueue(i));
    return absl::OkStatus();
  }));
  std::vector<double> seconds(kReplays);
  Value(recording->Replay());
  for (double& s : seconds) s = Value(recording->Replay()).seconds;
  std::sort(seconds.begin(), seconds.end());
  return seconds[kReplays / 2] / launches;
}

void Line(const char* name, int bits, int64_t batch, double seconds, double bytes) {
  std::printf("%-28s K=%d batch %-3lld %9.3f us %9.1f GB/s\n", name, bits,
              static_cast<long long>(batch), seconds * 1e6, bytes / seconds * 1e-9);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Ok(const absl::Status& status) { Value<int>(status.ok() ? absl::StatusOr<int>(0) : status); }

// What a replay costs beside the work that it times: wall time minus the device's, for a graph of
// `nodes` kernels, with and without the second time stamp.
void MeasureReplayOverhead(CudaDevice& device, int nodes) {
  constexpr int kRepeats = 300;
  const Buffer sink = Value(device.Allocate(4));
  const auto work = [&]() -> absl::Status {
    for (int i = 1; i < nodes; ++i) QTIPD_RETURN_IF_ERROR(LaunchEmpty(device, true));
    return LaunchIssue(device, sink.data());
  };
  const auto recording = Value(device.Record(work));
  Value(recording->Replay());
  double wall = Now();
  double timed = 0;
  for (int i = 0; i < kRepeats; ++i) timed += Value(recording->Replay()).seconds;
  wall = Now() - wall;
  std::printf("replay of %4d nodes, %.0f us: %.2f us of wall time beside it", nodes,
              timed / kRepeats * 1e6, (wall - timed) / kRepeats * 1e6);

  const auto gate = Value(CudaGate::Create(device.stream(), std::chrono::seconds(10)));
  Ok(QTIPD_CUDA_STATUS(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal)));
  Ok(work());
  cudaGraph_t graph = nullptr;
  Ok(QTIPD_CUDA_STATUS(cudaStreamEndCapture(device.stream(), &graph)));
  const CudaGraph owned(graph);
  cudaGraphExec_t exec = nullptr;
  Ok(QTIPD_CUDA_STATUS(cudaGraphInstantiate(&exec, graph, 0)));
  const CudaGraphExec owned_exec(exec);
  Ok(QTIPD_CUDA_STATUS(cudaGraphUpload(exec, device.stream())));
  Ok(device.Synchronize());
  const CudaEvent start = Value(MakeCudaEvent());
  const CudaEvent stop = Value(MakeCudaEvent());
  double queueing = 0;
  wall = Now();
  timed = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double begin = Now();
    Ok(gate->Close());
    Ok(QTIPD_CUDA_STATUS(cudaEventRecord(start.get(), device.stream())));
    Ok(QTIPD_CUDA_STATUS(cudaGraphLaunch(exec, device.stream())));
    Ok(QTIPD_CUDA_STATUS(cudaEventRecord(stop.get(), device.stream())));
    gate->Open();
    queueing += Now() - begin;
    Ok(device.Synchronize());
    float milliseconds = 0;
    Ok(QTIPD_CUDA_STATUS(cudaEventElapsedTime(&milliseconds, start.get(), stop.get())));
    timed += milliseconds * 1e-3;
  }
  wall = Now() - wall;
  std::printf(", %.2f us without the stamp (queueing %.2f us)\n", (wall - timed) / kRepeats * 1e6,
              queueing / kRepeats * 1e6);
}

void PrintCurve(const char* name, const std::vector<BandwidthPoint>& curve) {
  for (const BandwidthPoint& point : curve) {
    std::printf("%s %11llu bytes %9.3f us %7.1f GB/s\n", name,
                static_cast<unsigned long long>(point.bytes), point.seconds * 1e6,
                static_cast<double>(point.bytes) / point.seconds * 1e-9);
  }
}

void MeasureCeiling(CudaDevice& device) {
  const double begin = Now();
  const DeviceCeiling ceiling = Value(MeasureCudaCeiling(device, [] { return false; }));
  std::printf("ceiling measured in %.3f s\n", Now() - begin);
  PrintCurve("read", ceiling.read);
  PrintCurve("read_cached", ceiling.read_cached);
  PrintCurve("copy", ceiling.copy);
  for (uint64_t bytes : {4'194'304ull, 6'291'456ull, 8'388'608ull, 58'720'256ull, 117'440'512ull}) {
    std::printf("read of %llu bytes on the curve %.3f us\n", static_cast<unsigned long long>(bytes),
                ReadSeconds(ceiling, bytes) * 1e6);
  }
  std::printf("launch %.3f us, overlapped %.3f us, empty replay %.3f us, clock %.1f MHz\n",
              ceiling.launch_seconds * 1e6, ceiling.overlapped_launch_seconds * 1e6,
              ceiling.replay_seconds * 1e6, ceiling.clock_hertz * 1e-6);
  for (const auto& [kind, rate] : ceiling.rates) {
    std::printf("rate %s %.4g /s, %.3f a cycle and multiprocessor\n", kind.c_str(), rate,
                rate / ceiling.clock_hertz / device.multiprocessors());
  }
}

void MeasureDense(CudaDevice& device, Shape shape, int64_t batch, bool is_listed) {
  const uint64_t bytes = 2 * shape.out_features * shape.in_features;
  const int copies = static_cast<int>(kColdBytes / bytes) + 1;
  std::vector<Buffer> weights;
  std::vector<uint16_t> halves(shape.out_features * shape.in_features);
  for (size_t i = 0; i < halves.size(); ++i) {  // +-0.125 to 2 in no order
    const auto bits = static_cast<uint16_t>(i * 40503 >> 7);
    halves[i] = static_cast<uint16_t>((bits & 0x8000) | (0x3000 + (bits & 0x0FFF)));
  }
  for (int i = 0; i < copies; ++i) {
    weights.push_back(Value(device.Allocate(bytes)));
    if (!device.CopyToDevice(weights[i].data(), halves.data(), bytes).ok()) std::exit(2);
  }
  const Buffer x = Value(device.Allocate(2 * batch * shape.in_features));
  const Buffer y = Value(device.Allocate(4 * batch * shape.out_features));
  if (!device.CopyToDevice(x.data(), halves.data(), x.bytes()).ok()) std::exit(2);
  const auto dense = Value(device.PrepareDense({.out_features = shape.out_features,
                                                .in_features = shape.in_features,
                                                .batch = batch,
                                                .output_dtype = DType::kF16}));
  const int launches = std::max(copies, 24);
  Line(("dense " + dense->description()).c_str(), 16, batch,
       Median(device, launches,
              [&](int i) { return dense->Run(weights[i % copies].data(), x.data(), y.data()); }),
       static_cast<double>(bytes));
  if (!is_listed) return;
  for (const auto& [name, s] : dense->candidate_seconds()) {
    std::printf("  %-26s %9.3f us\n", name.c_str(), s * 1e6);
  }
}

void MeasureFused(CudaDevice& device, ResidentWeights& one, int bits, int64_t batch) {
  const Shape shape = one.shape();
  const int copies = static_cast<int>(kColdBytes / one.multiply_bytes()) + 1;
  const auto weights = Value(one.Replicate(copies));
  const Buffer x = Value(device.Allocate(2 * batch * shape.in_features));
  const Buffer u = Value(device.Allocate(2 * batch * shape.in_features));
  const Buffer z = Value(device.Allocate(4 * batch * shape.out_features));
  const Buffer y = Value(device.Allocate(2 * batch * shape.out_features));
  if (!device.Fill(x.data(), 0x3A, x.bytes()).ok()) std::exit(2);
  const int launches = std::max(copies, 24);
  const auto bytes = static_cast<double>(one.multiply_bytes());
  const auto rotate_in = [&] { return weights->InputTransform(batch, x.data(), u.data(), 1); };
  const auto multiply = [&](int i) {
    return weights->Multiply(i % copies, batch, u.data(), z.data());
  };
  const auto rotate_out = [&](int steps) {
    return weights->OutputTransform(batch, z.data(), y.data(), steps);
  };
  Line("input_rotation", bits, batch, Median(device, launches, [&](int) { return rotate_in(); }),
       4.0 * batch * shape.in_features);
  Line("fused_decode", bits, batch, Median(device, launches, multiply), bytes);
  Line("output_rotation", bits, batch, Median(device, launches, [&](int) { return rotate_out(1); }),
       8.0 * batch * shape.out_features);
  Line("output_rotation+scale", bits, batch,
       Median(device, launches, [&](int) { return rotate_out(2); }),
       6.0 * batch * shape.out_features);
  Line("linear in steps", bits, batch,
       Median(device, launches,
              [&](int i) -> absl::Status {
                QTIPD_RETURN_IF_ERROR(rotate_in());
                QTIPD_RETURN_IF_ERROR(multiply(i));
                return rotate_out(2);
              }),
       bytes);
  Line("fused linear", bits, batch,
       Median(device, launches,
              [&](int i) {
                return weights->Linear(i % copies, batch, x.data(), u.data(), z.data(), y.data());
              }),
       bytes);
}

// Medians of the traced build over rotating copies, phase by phase.
void MeasurePhases(CudaDevice& device, ResidentWeights& one, int bits, int64_t batch) {
  const Shape shape = one.shape();
  const int copies = static_cast<int>(kColdBytes / one.multiply_bytes()) + 1;
  const auto weights = Value(one.Replicate(copies));
  const Buffer u = Value(device.Allocate(2 * batch * shape.in_features));
  const Buffer z = Value(device.Allocate(4 * batch * shape.out_features));
  Ok(device.Fill(u.data(), 0x3A, u.bytes()));
  const auto tracer = Value(weights->PreparePhases(batch, u.data(), z.data(), copies));
  const auto row = [&](PhaseTracer::Build build) {
    return Median(device, copies, [&](int i) { return tracer->Enqueue(build, i, i); });
  };
  const double shipped = row(PhaseTracer::Build::kShipped);
  const double hollow = row(PhaseTracer::Build::kHollow);
  const double launch = hollow - Value(tracer->Read()).back().kernel_seconds;
  const double traced = row(PhaseTracer::Build::kTraced);
  std::map<std::string, std::vector<double>> seconds;
  for (const PhaseTimes& times : Value(tracer->Read())) {
    seconds["kernel"].push_back(times.kernel_seconds);
    for (const auto& [name, s] : times.phases) seconds[name].push_back(s);
  }
  std::printf("row K=%d batch %lld: shipped %.3f us, traced %.3f us, launch %.3f us\n", bits,
              static_cast<long long>(batch), shipped * 1e6, traced * 1e6, launch * 1e6);
  std::printf("phases K=%d batch %lld:", bits, static_cast<long long>(batch));
  for (auto& [name, s] : seconds) {
    std::sort(s.begin(), s.end());
    std::printf("  %s %.3f us", name.c_str(), s[s.size() / 2] * 1e6);
  }
  std::printf("\n");
}

void MeasureDecode(CudaDevice& device, ResidentWeights& one, int bits) {
  const Shape shape = one.shape();
  const int copies = static_cast<int>(kColdBytes / one.multiply_bytes()) + 1;
  const auto weights = Value(one.Replicate(copies));
  const uint64_t matrix = 2 * shape.out_features * shape.in_features;
  const Buffer w = Value(device.Allocate(matrix));
  Line("decode", bits, 1,
       Median(device, std::max(copies, 24),
              [&](int i) { return weights->Decode(i % copies, w.data()); }),
       static_cast<double>(matrix + one.multiply_bytes()));
}

void Run(CudaDevice& device, Shape shape) {
  std::printf("%s, %lld x %lld\n", device.info().name.c_str(),
              static_cast<long long>(shape.out_features),
              static_cast<long long>(shape.in_features));
  MeasureCeiling(device);
  for (int nodes : {1, 100, 1000}) MeasureReplayOverhead(device, nodes);
  const Buffer from = Value(device.Allocate(size_t{1} << 30));
  const Buffer to = Value(device.Allocate(size_t{1} << 30));
  Line("device copy of 1 GiB", 0, 0,
       Median(device, 2, [&](int) { return device.Copy(to.data(), from.data(), from.bytes()); }),
       2.0 * from.bytes());
  Line("device fill of 1 GiB", 0, 0,
       Median(device, 2, [&](int) { return device.Fill(to.data(), 0, to.bytes()); }),
       1.0 * to.bytes());
  for (int64_t batch : {1, 4, 16}) MeasureDense(device, shape, batch, batch == 1);
  std::vector<float> w(shape.out_features * shape.in_features);
  for (int bits : {2, 3, 4}) {
    const Options options = *CheckOptions(MakeQtipFormat()->schema(), {{"bits", int64_t{bits}}});
    const QuantizeProblem problem = {.shape = shape, .weights = w, .options = options};
    NoProgress progress;
    QuantizeReport report;
    PackedLayer packed;
    for (int run = 0; run < 2; ++run) {
      FillNormal(0, RandomStream::kWeights, 0, w);
      packed = Value(
          QuantizeQtipOnCuda(device, problem, *MakeQtipIngredients(problem), progress, report));
      std::printf("quantize K=%d run %d proxy %.6f", bits, run, report.proxy_error);
      for (const auto& [step, s] : report.step_seconds) std::printf("  %s %.4f s", step.c_str(), s);
      std::printf("\n");
    }
    const auto one = Value(LoadQtipOnCuda(device, Value(ParseQtipLayer(packed))));
    for (int64_t batch : {1, 2, 4, 8, 16}) MeasureFused(device, *one, bits, batch);
    for (int64_t batch : {1, 16}) MeasurePhases(device, *one, bits, batch);
    MeasureDecode(device, *one, bits);
  }
}

// A correlated Hessian: feedback, factorisation and group products at full size.
void RunWithHessian(CudaDevice& device, Shape shape) {
  const int64_t n = shape.in_features;
  std::vector<float> w(shape.out_features * n), h(n * n);
  for (int bits : {2, 4}) {
    FillNormal(0, RandomStream::kWeights, 0, w);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        h[i * n + j] = static_cast<float>(std::pow(0.98, static_cast<double>(std::abs(i - j))));
      }
    }
    const Options options = *CheckOptions(MakeQtipFormat()->schema(), {{"bits", int64_t{bits}}});
    NoProgress progress;
    QuantizeReport report;
    const QuantizeProblem problem = {
        .shape = shape, .weights = w, .hessian = h, .options = options};
    Value(QuantizeQtipOnCuda(device, problem, *MakeQtipIngredients(problem), progress, report));
    std::printf("quantize with H K=%d proxy %.6f", bits, report.proxy_error);
    for (const auto& [step, s] : report.step_seconds) std::printf("  %s %.4f s", step.c_str(), s);
    std::printf("\n");
  }
}

// Rotations of one vector, one after the other and of each size.
void RunRotations(CudaDevice& device, const std::vector<int64_t>& sizes) {
  for (const int64_t size : sizes) {
    const auto rotation = [&](HadamardDirection direction) {
      return Value(MakeCudaRotation(device, {.size = size}, direction));
    };
    const CudaRotation input = rotation(HadamardDirection::kTransposed);
    const CudaRotation output = rotation(HadamardDirection::kForward);
    const Buffer half = Value(device.Allocate(2 * size));
    const Buffer rotated = Value(device.Allocate(2 * size));
    const Buffer wide = Value(device.Allocate(4 * size));
    const Buffer scale = Value(device.Allocate(4 * size));
    for (const Buffer* buffer : {&half, &wide, &scale}) {
      Ok(device.Fill(buffer->data(), 0x3A, buffer->bytes()));
    }
    const RotationConfig config = Value(ChooseRotationConfig({.size = size}, device.limits()));
    std::printf("rotation of %lld: order %d, %s\n", static_cast<long long>(size), input.order,
                config.ToString().c_str());
    Line("input_rotation", 0, 1,
         Median(device, 200,
                [&](int) {
                  return LaunchInputRotation(device, input, 1, half.data(), scale.data(),
                                             half.data());
                }),
         8.0 * size);
    Line("output_rotation+scale", 0, 1,
         Median(device, 200,
                [&](int) {
                  return LaunchOutputRotation(device, output, 1, wide.data(), scale.data(),
                                              half.data());
                }),
         10.0 * size);
  }
}

// A layer of random bits, which decode as fast as any.
QtipLayer ScrambledLayer(Shape shape, const QtipCodeSpec& spec) {
  QtipLayer layer{.shape = shape, .spec = spec};
  layer.trellis.resize(QtipTrellisWords(shape.out_features, shape.in_features, spec.bits));
  for (size_t i = 0; i < layer.trellis.size(); ++i) {
    layer.trellis[i] = static_cast<uint16_t>(i * 40503 >> 7);
  }
  layer.su.assign(shape.in_features, 1.0f);
  layer.sv.assign(shape.out_features, 1.0f);
  if (spec.code == QtipCode::kHyb) {
    layer.tlut.assign(QtipDefaultTlut().begin(), QtipDefaultTlut().end());
  }
  return layer;
}

// The bare fused kernel, five runs and all their values, beside a plain read of as many bytes.
void MeasureMultiply(CudaDevice& device, const DeviceCeiling& ceiling, Shape shape,
                     const QtipCodeSpec& spec, const std::vector<int64_t>& batches) {
  constexpr int kRuns = 5;
  const auto one = Value(LoadQtipOnCuda(device, ScrambledLayer(shape, spec)));
  const int copies = static_cast<int>(kColdBytes / one->multiply_bytes()) + 1;
  const auto weights = Value(one->Replicate(copies));
  for (const int64_t batch : batches) {
    const Buffer u = Value(device.Allocate(2 * batch * shape.in_features));
    const Buffer z = Value(device.Allocate(4 * batch * shape.out_features));
    Ok(device.Fill(u.data(), 0x3A, u.bytes()));
    std::printf("multiply %lldx%lld %s batch %-2lld", static_cast<long long>(shape.out_features),
                static_cast<long long>(shape.in_features), QtipSpecText(spec).c_str(),
                static_cast<long long>(batch));
    std::vector<double> runs(kRuns);
    for (double& run : runs) {
      run = Median(device, std::max(copies, 24),
                   [&](int i) { return weights->Multiply(i % copies, batch, u.data(), z.data()); });
      std::printf(" %7.3f", run * 1e6);
    }
    std::sort(runs.begin(), runs.end());
    std::printf("  median %7.3f us, read %.2f us\n", runs[kRuns / 2] * 1e6,
                ReadSeconds(ceiling, one->multiply_bytes()) * 1e6);
  }
}

void RunMultiplies(CudaDevice& device) {
  const DeviceCeiling ceiling = Value(MeasureCudaCeiling(device, [] { return false; }));
  std::printf("%s, %.0f MHz, empty launch %.2f us\n", device.info().name.c_str(),
              ceiling.clock_hertz * 1e-6, ceiling.overlapped_launch_seconds * 1e6);
  for (const Shape shape : {Shape{4096, 4096}, Shape{14336, 4096}, Shape{4096, 14336},
                            Shape{8192, 8192}, Shape{28672, 8192}, Shape{8192, 28672}}) {
    MeasureDense(device, shape, 1, false);
    for (const int bits : {1, 2, 3, 4}) {
      MeasureMultiply(device, ceiling, shape, {.bits = bits}, {1});
    }
    MeasureMultiply(device, ceiling, shape, {.bits = 2}, {2, 4, 8, 16, 32, 64});
  }
  for (const Shape shape :
       {Shape{1024, 4096}, Shape{4096, 11008}, Shape{11008, 4096}, Shape{13824, 5120},
        Shape{5120, 13824}, Shape{5120, 5120}, Shape{53248, 16384}, Shape{8192, 57344}}) {
    MeasureDense(device, shape, 1, false);
    for (const int bits : {2, 4}) {
      MeasureMultiply(device, ceiling, shape, {.bits = bits}, {1});
    }
  }
}

std::vector<int64_t> Numbers(char** begin, char** end) {
  std::vector<int64_t> numbers;
  std::transform(begin, end, std::back_inserter(numbers), std::atoll);
  return numbers;
}

// CODE:BITS of a code without a table, or of hyb.
QtipCodeSpec Spec(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string code = text.substr(0, colon);
  for (const QtipCodeInfo& info : QtipCodes()) {
    if (info.name != code || colon == std::string::npos) continue;
    return {.code = info.code,
            .bits = std::atoi(text.c_str() + colon + 1),
            .vector_dim = info.default_vector_dim,
            .table_bits = info.table_bits};
  }
  std::fprintf(stderr, "code %s: CODE:BITS expected\n", text.c_str());
  std::exit(2);
}

// The fused linear.
void RunLinears(CudaDevice& device, const std::vector<Shape>& shapes) {
  for (const Shape shape : shapes) {
    std::printf("%lld x %lld\n", static_cast<long long>(shape.out_features),
                static_cast<long long>(shape.in_features));
    for (const int bits : {2, 4}) {
      const auto one = Value(LoadQtipOnCuda(device, ScrambledLayer(shape, {.bits = bits})));
      for (const int64_t batch : {1, 8}) MeasureFused(device, *one, bits, batch);
    }
  }
}

}  // namespace
}  // namespace qtipd

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "multiply") {
    const auto device = qtipd::Value(qtipd::CudaDevice::Open(0));
    if (argc > 5) {
      const auto ceiling = qtipd::Value(qtipd::MeasureCudaCeiling(*device, [] { return false; }));
      const std::vector<int64_t> batches = qtipd::Numbers(argv + 5, argv + argc);
      qtipd::MeasureMultiply(*device, ceiling, {std::atoll(argv[2]), std::atoll(argv[3])},
                             qtipd::Spec(argv[4]), batches);
    } else {
      qtipd::RunMultiplies(*device);
    }
    return 0;
  }
  if (argc > 1 && std::string(argv[1]) == "linears") {
    const auto device = qtipd::Value(qtipd::CudaDevice::Open(0));
    qtipd::RunLinears(*device,
                      {{4096, 4096}, {14336, 4096}, {8192, 8192}, {28672, 8192}, {8192, 28672}});
    return 0;
  }
  if (argc > 1 && std::string(argv[1]) == "sizes") {
    const auto device = qtipd::Value(qtipd::CudaDevice::Open(0));
    qtipd::RunRotations(*device, {4096, 8192, 3072, 5120, 11008, 13824, 14336, 28672, 53248});
    qtipd::RunLinears(*device, {{4096, 4096},
                                {11008, 4096},
                                {4096, 11008},
                                {5120, 5120},
                                {4096, 14336},
                                {8192, 28672},
                                {8192, 8192},
                                {4096, 16384}});
    return 0;
  }
  const qtipd::Shape shape = {argc > 2 ? std::atoll(argv[1]) : 4096,
                              argc > 2 ? std::atoll(argv[2]) : 4096};
  const auto device = qtipd::Value(qtipd::CudaDevice::Open(0));
  qtipd::Run(*device, shape);
  qtipd::RunWithHessian(*device, shape);
  return 0;
}
