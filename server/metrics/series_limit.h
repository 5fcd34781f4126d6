// A bound on the number of time series that one daemon exports.
#ifndef QTIPD_SERVER_METRICS_SERIES_LIMIT_H_
#define QTIPD_SERVER_METRICS_SERIES_LIMIT_H_

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/labels.h"

namespace qtipd {

// Counts series over all families and refuses new ones beyond `limit`. Thread-safe.
class SeriesLimit {
 public:
  // `dropped` counts what is refused; it outlives this object.
  SeriesLimit(size_t limit, prometheus::Counter& dropped) : limit_(limit), dropped_(dropped) {}

  // Gives back what Reserve granted.
  void Release(size_t series) { used_ -= series; }
  // Reserves `series` more; false, and counted as dropped, if that would exceed the limit.
  bool Reserve(size_t series);
  size_t used() const { return used_; }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
  prometheus::Counter& dropped_;
};

// A family whose children count against a SeriesLimit. Thread-safe.
template <typename T>
class LimitedFamily {
 public:
  // `series` is how many lines of text one child makes: 1, or buckets + 3 for a histogram.
  LimitedFamily(prometheus::Family<T>& family, SeriesLimit& limit, size_t series = 1)
      : family_(family), limit_(limit), series_(series) {}

  // The child with `labels`, made at the first use; nullptr where the limit forbids it. `arguments`
  // go to the metric's constructor (a histogram's buckets).
  template <typename... Args>
  T* Get(const prometheus::Labels& labels, const Args&... arguments) {
    std::lock_guard lock(mutex_);
    if (const auto found = children_.find(labels); found != children_.end()) return found->second;
    T* child = limit_.Reserve(series_) ? &family_.Add(labels, arguments...) : nullptr;
    if (child != nullptr) children_[labels] = child;
    return child;
  }

  // Ends the series of the child with `labels`, if there is one: its value is not known any more.
  void Remove(const prometheus::Labels& labels) {
    std::lock_guard lock(mutex_);
    const auto found = children_.find(labels);
    if (found == children_.end()) return;
    family_.Remove(found->second);
    children_.erase(found);
    limit_.Release(series_);
  }

 private:
  prometheus::Family<T>& family_;
  SeriesLimit& limit_;
  const size_t series_;
  std::mutex mutex_;
  std::map<prometheus::Labels, T*> children_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_METRICS_SERIES_LIMIT_H_
