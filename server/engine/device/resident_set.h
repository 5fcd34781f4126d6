// The artefacts resident on one device.
#ifndef QTIPD_SERVER_ENGINE_DEVICE_RESIDENT_SET_H_
#define QTIPD_SERVER_ENGINE_DEVICE_RESIDENT_SET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/api/weight_format.h"
#include "server/engine/metrics_sink.h"

namespace qtipd {

// Keyed by the artefact file's sha256, so that two names of one file are one layer. Changed and
// looked into on the device's thread only; Contains and bytes are thread-safe.
class ResidentSet {
 public:
  // `metrics` outlives the set.
  ResidentSet(std::string device_id, MetricsSink& metrics);
  ~ResidentSet();

  // The layer, or nullptr; valid until it is removed.
  ResidentWeights* Find(const std::string& sha256);
  // A pinned layer stays, also when it is put again, until it is removed by name; others go when a
  // job needs their memory.
  void Put(const std::string& sha256, const std::string& format,
           std::unique_ptr<ResidentWeights> weights, bool is_pinned);
  void Pin(const std::string& sha256);
  void Remove(const std::string& sha256);
  // Frees what is not pinned; true if that was anything.
  bool ReleaseUnpinned();
  void Clear();

  bool Contains(const std::string& sha256) const;
  uint64_t bytes() const;

 private:
  struct Entry {
    std::string format;
    std::unique_ptr<ResidentWeights> weights;
    uint64_t bytes = 0;
    bool is_pinned = false;
  };
  void Report(const std::string& format);

  const std::string device_id_;
  MetricsSink& metrics_;
  mutable std::mutex mutex_;  // guards entries_ against readers of other threads
  std::map<std::string, Entry> entries_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DEVICE_RESIDENT_SET_H_
