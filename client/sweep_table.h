// What a sweep over formats, options, shapes and batches measured: size, error and speed side by
// side.
#ifndef QTIPD_CLIENT_SWEEP_TABLE_H_
#define QTIPD_CLIENT_SWEEP_TABLE_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "client/speed_table.h"

namespace qtipd {

// One row a case and batch, medians over the repeats. A case that could not be measured has one row
// without figures.
Table SweepTable(const std::vector<SpeedResult>& results);

// The same rows with every figure, its unit in the column's key: for files.
Table SweepRecords(const std::vector<SpeedResult>& results);

// One JSON object a row, a line each: keys are the columns' keys, numbers are numbers, and what was
// not measured is null.
std::string JsonLines(const Table& table);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SWEEP_TABLE_H_
