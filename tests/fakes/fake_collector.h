// A ProfileCollector that counts nothing and answers what the test set.
#ifndef QTIPD_TESTS_FAKES_FAKE_COLLECTOR_H_
#define QTIPD_TESTS_FAKES_FAKE_COLLECTOR_H_

#include <functional>
#include <vector>

#include "server/engine/profile/profile_collector.h"

namespace qtipd {

struct FakeCollector final : public ProfileCollector {
  absl::StatusOr<ProfileData> answer = ProfileData{};
  absl::StatusOr<MetricCatalogue> catalogue = MetricCatalogue{};
  std::function<void(const std::function<bool()>& is_cancelled)> on_collect;
  std::function<void(const std::function<bool()>& is_cancelled)> on_catalogue;
  std::vector<ProfileTask> tasks;
  std::vector<CatalogueTask> catalogue_tasks;

  absl::StatusOr<ProfileData> Collect(const ProfileTask& task,
                                      const std::function<bool()>& is_cancelled) override {
    tasks.push_back(task);
    if (on_collect) on_collect(is_cancelled);
    return answer;
  }
  absl::StatusOr<MetricCatalogue> ReadCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) override {
    catalogue_tasks.push_back(task);
    if (on_catalogue) on_catalogue(is_cancelled);
    return catalogue;
  }
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_COLLECTOR_H_
