#include "server/engine/device/resident_set.h"

#include <utility>
#include <vector>

namespace qtipd {

ResidentSet::ResidentSet(std::string device_id, MetricsSink& metrics)
    : device_id_(std::move(device_id)), metrics_(metrics) {}

ResidentSet::~ResidentSet() = default;

ResidentWeights* ResidentSet::Find(const std::string& sha256) {
  const auto found = entries_.find(sha256);
  return found == entries_.end() ? nullptr : found->second.weights.get();
}

void ResidentSet::Put(const std::string& sha256, const std::string& format,
                      std::unique_ptr<ResidentWeights> weights, bool is_pinned) {
  {
    std::lock_guard lock(mutex_);
    const uint64_t bytes = weights->device_bytes();
    Entry& entry = entries_[sha256];
    entry = Entry{format, std::move(weights), bytes, is_pinned || entry.is_pinned};
  }
  Report(format);
}

void ResidentSet::Pin(const std::string& sha256) {
  std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(sha256); found != entries_.end()) {
    found->second.is_pinned = true;
  }
}

void ResidentSet::Remove(const std::string& sha256) {
  std::string format;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(sha256);
    if (found == entries_.end()) return;
    format = found->second.format;
    entries_.erase(found);
  }
  Report(format);
}

bool ResidentSet::ReleaseUnpinned() {
  std::vector<std::string> unpinned;
  for (const auto& [sha256, entry] : entries_) {
    if (!entry.is_pinned) unpinned.push_back(sha256);
  }
  for (const std::string& sha256 : unpinned) Remove(sha256);
  return !unpinned.empty();
}

void ResidentSet::Clear() {
  while (!entries_.empty()) Remove(std::string(entries_.begin()->first));
}

bool ResidentSet::Contains(const std::string& sha256) const {
  std::lock_guard lock(mutex_);
  return entries_.count(sha256) > 0;
}

uint64_t ResidentSet::bytes() const {
  std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [sha256, entry] : entries_) bytes += entry.bytes;
  return bytes;
}

void ResidentSet::Report(const std::string& format) {
  int64_t count = 0;
  uint64_t bytes = 0;
  for (const auto& [sha256, entry] : entries_) {
    if (entry.format != format) continue;
    ++count;
    bytes += entry.bytes;
  }
  metrics_.ResidentChanged(device_id_, format, count, bytes);
}

}  // namespace qtipd
