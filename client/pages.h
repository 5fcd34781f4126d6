// Lists that come in pages, whole.
#ifndef QTIPD_CLIENT_PAGES_H_
#define QTIPD_CLIENT_PAGES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "kernels/api/status.h"

namespace qtipd {

// Calls `list` with `request` until no page is left, and returns the items that `items_of` finds in
// every response, in order.
template <typename Item, typename Stub, typename Request, typename Response, typename ItemsOf>
absl::StatusOr<std::vector<Item>> ListAll(Connection& connection, Stub& stub,
                                          grpc::Status (Stub::*list)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                                          Request request, const ItemsOf& items_of) {
  std::vector<Item> all;
  do {
    QTIPD_ASSIGN_OR_RETURN(const Response response, connection.Call(stub, list, request));
    const auto& items = items_of(response);
    all.insert(all.end(), items.begin(), items.end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace qtipd

#endif  // QTIPD_CLIENT_PAGES_H_
