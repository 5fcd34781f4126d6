// Our declarations of CUPTI's structures against the toolkit's own headers.
#include <cupti_pcsampling.h>
#include <cupti_profiler_host.h>
#include <cupti_range_profiler.h>
#include <cupti_target.h>
#include <gtest/gtest.h>

#include "server/profiler/cupti_types.h"

namespace qtipd::cupti {
namespace {

// One field of theirs and ours at the same place, with the same size.
#define EXPECT_FIELD(theirs, their_field, ours, our_field)                                     \
  EXPECT_EQ(offsetof(theirs, their_field), offsetof(ours, our_field)) << #ours "." #our_field; \
  EXPECT_EQ(sizeof(theirs::their_field), sizeof(ours::our_field)) << #ours "." #our_field

#define EXPECT_STRUCT(theirs, ours) EXPECT_EQ(theirs##_STRUCT_SIZE, kStructSize<ours>) << #ours;

TEST(CuptiLayout, HostStructuresAreCuptis) {
  EXPECT_STRUCT(CUpti_Profiler_Host_Initialize_Params, HostInitialize);
  EXPECT_FIELD(CUpti_Profiler_Host_Initialize_Params, profilerType, HostInitialize, profiler_type);
  EXPECT_FIELD(CUpti_Profiler_Host_Initialize_Params, pChipName, HostInitialize, chip_name);
  EXPECT_FIELD(CUpti_Profiler_Host_Initialize_Params, pCounterAvailabilityImage, HostInitialize,
               counter_availability_image);
  EXPECT_FIELD(CUpti_Profiler_Host_Initialize_Params, pHostObject, HostInitialize, host_object);
  EXPECT_STRUCT(CUpti_Profiler_Host_Deinitialize_Params, HostDeinitialize);
  EXPECT_FIELD(CUpti_Profiler_Host_Deinitialize_Params, pHostObject, HostDeinitialize, host_object);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetSupportedChips_Params, GetSupportedChips);
  EXPECT_FIELD(CUpti_Profiler_Host_GetSupportedChips_Params, numChips, GetSupportedChips,
               chip_count);
  EXPECT_FIELD(CUpti_Profiler_Host_GetSupportedChips_Params, ppChipNames, GetSupportedChips,
               chip_names);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetBaseMetrics_Params, GetBaseMetrics);
  EXPECT_FIELD(CUpti_Profiler_Host_GetBaseMetrics_Params, metricType, GetBaseMetrics, metric_type);
  EXPECT_FIELD(CUpti_Profiler_Host_GetBaseMetrics_Params, ppMetricNames, GetBaseMetrics,
               metric_names);
  EXPECT_FIELD(CUpti_Profiler_Host_GetBaseMetrics_Params, numMetrics, GetBaseMetrics, metric_count);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetMetricProperties_Params, GetMetricProperties);
  EXPECT_FIELD(CUpti_Profiler_Host_GetMetricProperties_Params, pMetricName, GetMetricProperties,
               metric_name);
  EXPECT_FIELD(CUpti_Profiler_Host_GetMetricProperties_Params, pDescription, GetMetricProperties,
               description);
  EXPECT_FIELD(CUpti_Profiler_Host_GetMetricProperties_Params, pHwUnit, GetMetricProperties,
               hardware_unit);
  EXPECT_FIELD(CUpti_Profiler_Host_GetMetricProperties_Params, pDimUnit, GetMetricProperties,
               dimension_unit);
  EXPECT_FIELD(CUpti_Profiler_Host_GetMetricProperties_Params, metricType, GetMetricProperties,
               metric_type);
}

TEST(CuptiLayout, ConfigurationStructuresAreCuptis) {
  EXPECT_STRUCT(CUpti_Profiler_Host_ConfigAddMetrics_Params, ConfigAddMetrics);
  EXPECT_FIELD(CUpti_Profiler_Host_ConfigAddMetrics_Params, ppMetricNames, ConfigAddMetrics,
               metric_names);
  EXPECT_FIELD(CUpti_Profiler_Host_ConfigAddMetrics_Params, numMetrics, ConfigAddMetrics,
               metric_count);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetConfigImageSize_Params, GetConfigImageSize);
  EXPECT_FIELD(CUpti_Profiler_Host_GetConfigImageSize_Params, configImageSize, GetConfigImageSize,
               config_image_size);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetConfigImage_Params, GetConfigImage);
  EXPECT_FIELD(CUpti_Profiler_Host_GetConfigImage_Params, pConfigImage, GetConfigImage,
               config_image);
  EXPECT_STRUCT(CUpti_Profiler_Host_GetNumOfPasses_Params, GetNumOfPasses);
  EXPECT_FIELD(CUpti_Profiler_Host_GetNumOfPasses_Params, pConfigImage, GetNumOfPasses,
               config_image);
  EXPECT_FIELD(CUpti_Profiler_Host_GetNumOfPasses_Params, numOfPasses, GetNumOfPasses, pass_count);
  EXPECT_STRUCT(CUpti_Profiler_Host_EvaluateToGpuValues_Params, EvaluateToGpuValues);
  EXPECT_FIELD(CUpti_Profiler_Host_EvaluateToGpuValues_Params, pCounterDataImage,
               EvaluateToGpuValues, counter_data_image);
  EXPECT_FIELD(CUpti_Profiler_Host_EvaluateToGpuValues_Params, rangeIndex, EvaluateToGpuValues,
               range_index);
  EXPECT_FIELD(CUpti_Profiler_Host_EvaluateToGpuValues_Params, ppMetricNames, EvaluateToGpuValues,
               metric_names);
  EXPECT_FIELD(CUpti_Profiler_Host_EvaluateToGpuValues_Params, pMetricValues, EvaluateToGpuValues,
               metric_values);
}

TEST(CuptiLayout, TargetStructuresAreCuptis) {
  EXPECT_STRUCT(CUpti_Profiler_Initialize_Params, ProfilerInitialize);
  EXPECT_STRUCT(CUpti_Profiler_DeInitialize_Params, ProfilerInitialize);
  EXPECT_STRUCT(CUpti_Profiler_DeviceSupported_Params, DeviceSupported);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, cuDevice, DeviceSupported, device);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, isSupported, DeviceSupported, is_supported);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, architecture, DeviceSupported, architecture);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, sli, DeviceSupported, sli);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, vGpu, DeviceSupported, vgpu);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, confidentialCompute, DeviceSupported,
               confidential_compute);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, cmp, DeviceSupported, cmp);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, wsl, DeviceSupported, wsl);
  EXPECT_FIELD(CUpti_Profiler_DeviceSupported_Params, api, DeviceSupported, api);
  EXPECT_STRUCT(CUpti_Device_GetChipName_Params, GetChipName);
  EXPECT_FIELD(CUpti_Device_GetChipName_Params, deviceIndex, GetChipName, device_index);
  EXPECT_FIELD(CUpti_Device_GetChipName_Params, pChipName, GetChipName, chip_name);
  EXPECT_STRUCT(CUpti_Profiler_GetCounterAvailability_Params, GetCounterAvailability);
  EXPECT_FIELD(CUpti_Profiler_GetCounterAvailability_Params, ctx, GetCounterAvailability, context);
  EXPECT_FIELD(CUpti_Profiler_GetCounterAvailability_Params, pCounterAvailabilityImage,
               GetCounterAvailability, image);
}

TEST(CuptiLayout, RangeStructuresAreCuptis) {
  EXPECT_STRUCT(CUpti_RangeProfiler_Enable_Params, RangeEnable);
  EXPECT_FIELD(CUpti_RangeProfiler_Enable_Params, pRangeProfilerObject, RangeEnable, profiler);
  EXPECT_STRUCT(CUpti_RangeProfiler_Disable_Params, RangeCall);
  EXPECT_STRUCT(CUpti_RangeProfiler_Start_Params, RangeCall);
  EXPECT_STRUCT(CUpti_RangeProfiler_PopRange_Params, RangeCall);
  EXPECT_STRUCT(CUpti_RangeProfiler_SetConfig_Params, RangeSetConfig);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, pConfig, RangeSetConfig, config);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, pCounterDataImage, RangeSetConfig,
               counter_data_image);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, range, RangeSetConfig, range);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, replayMode, RangeSetConfig, replay_mode);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, maxRangesPerPass, RangeSetConfig,
               max_ranges_per_pass);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, numNestingLevels, RangeSetConfig,
               nesting_levels);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, minNestingLevel, RangeSetConfig,
               min_nesting_level);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, passIndex, RangeSetConfig, pass_index);
  EXPECT_FIELD(CUpti_RangeProfiler_SetConfig_Params, targetNestingLevel, RangeSetConfig,
               target_nesting_level);
  EXPECT_STRUCT(CUpti_RangeProfiler_Stop_Params, RangeStop);
  EXPECT_FIELD(CUpti_RangeProfiler_Stop_Params, isAllPassSubmitted, RangeStop,
               is_all_pass_submitted);
  EXPECT_STRUCT(CUpti_RangeProfiler_PushRange_Params, RangePush);
  EXPECT_FIELD(CUpti_RangeProfiler_PushRange_Params, pRangeName, RangePush, range_name);
  EXPECT_STRUCT(CUpti_RangeProfiler_DecodeData_Params, RangeDecodeData);
  EXPECT_FIELD(CUpti_RangeProfiler_DecodeData_Params, numOfRangeDropped, RangeDecodeData,
               dropped_ranges);
  EXPECT_STRUCT(CUpti_RangeProfiler_GetCounterDataSize_Params, RangeCounterDataSize);
  EXPECT_FIELD(CUpti_RangeProfiler_GetCounterDataSize_Params, pMetricNames, RangeCounterDataSize,
               metric_names);
  EXPECT_FIELD(CUpti_RangeProfiler_GetCounterDataSize_Params, maxNumOfRanges, RangeCounterDataSize,
               max_ranges);
  EXPECT_FIELD(CUpti_RangeProfiler_GetCounterDataSize_Params, maxNumRangeTreeNodes,
               RangeCounterDataSize, max_range_tree_nodes);
  EXPECT_FIELD(CUpti_RangeProfiler_GetCounterDataSize_Params, counterDataSize, RangeCounterDataSize,
               counter_data_size);
  EXPECT_STRUCT(CUpti_RangeProfiler_CounterDataImage_Initialize_Params, RangeCounterDataInitialize);
  EXPECT_FIELD(CUpti_RangeProfiler_CounterDataImage_Initialize_Params, pCounterData,
               RangeCounterDataInitialize, counter_data);
  EXPECT_STRUCT(CUpti_RangeProfiler_GetCounterDataInfo_Params, RangeCounterDataInfo);
  EXPECT_FIELD(CUpti_RangeProfiler_GetCounterDataInfo_Params, numTotalRanges, RangeCounterDataInfo,
               range_count);
}

#define EXPECT_PC_STRUCT(theirs, ours) EXPECT_EQ(theirs##Size, kStructSize<ours>) << #ours

TEST(CuptiLayout, PcSamplingStructuresAreCuptis) {
  EXPECT_EQ(sizeof(CUpti_PCSamplingStallReason), sizeof(PcStallReason));
  EXPECT_EQ(sizeof(CUpti_PCSamplingPCData), sizeof(PcRecord));
  EXPECT_FIELD(CUpti_PCSamplingPCData, cubinCrc, PcRecord, cubin_crc);
  EXPECT_FIELD(CUpti_PCSamplingPCData, pcOffset, PcRecord, pc_offset);
  EXPECT_FIELD(CUpti_PCSamplingPCData, functionName, PcRecord, function_name);
  EXPECT_FIELD(CUpti_PCSamplingPCData, stallReasonCount, PcRecord, stall_reason_count);
  EXPECT_FIELD(CUpti_PCSamplingPCData, stallReason, PcRecord, stall_reasons);
  EXPECT_FIELD(CUpti_PCSamplingPCData, correlationId, PcRecord, correlation_id);
  EXPECT_EQ(sizeof(CUpti_PCSamplingData), sizeof(PcData));
  EXPECT_FIELD(CUpti_PCSamplingData, collectNumPcs, PcData, collect_pc_count);
  EXPECT_FIELD(CUpti_PCSamplingData, totalSamples, PcData, total_samples);
  EXPECT_FIELD(CUpti_PCSamplingData, droppedSamples, PcData, dropped_samples);
  EXPECT_FIELD(CUpti_PCSamplingData, totalNumPcs, PcData, pc_count);
  EXPECT_FIELD(CUpti_PCSamplingData, remainingNumPcs, PcData, remaining_pc_count);
  EXPECT_FIELD(CUpti_PCSamplingData, pPcData, PcData, records);
  EXPECT_FIELD(CUpti_PCSamplingData, hardwareBufferFull, PcData, is_hardware_buffer_full);
  EXPECT_EQ(sizeof(CUpti_PCSamplingConfigurationInfo), sizeof(PcConfiguration));
  EXPECT_FIELD(CUpti_PCSamplingConfigurationInfo, attributeData, PcConfiguration, value);
  EXPECT_PC_STRUCT(CUpti_PCSamplingEnableParams, PcCall);
  EXPECT_PC_STRUCT(CUpti_PCSamplingStopParams, PcCall);
  EXPECT_PC_STRUCT(CUpti_PCSamplingConfigurationInfoParams, PcSetConfiguration);
  EXPECT_FIELD(CUpti_PCSamplingConfigurationInfoParams, pPCSamplingConfigurationInfo,
               PcSetConfiguration, attributes);
  EXPECT_PC_STRUCT(CUpti_PCSamplingGetDataParams, PcGetData);
  EXPECT_PC_STRUCT(CUpti_PCSamplingGetNumStallReasonsParams, PcReasonCount);
  EXPECT_PC_STRUCT(CUpti_PCSamplingGetStallReasonsParams, PcReasonNames);
  EXPECT_FIELD(CUpti_PCSamplingGetStallReasonsParams, stallReasonIndex, PcReasonNames, indices);
  EXPECT_FIELD(CUpti_PCSamplingGetStallReasonsParams, stallReasons, PcReasonNames, names);
  EXPECT_EQ(size_t{CUPTI_STALL_REASON_STRING_SIZE}, kPcReasonNameSize);
}

TEST(CuptiLayout, NumbersAreCuptis) {
  EXPECT_EQ(CUPTI_ERROR_INVALID_METRIC_NAME, kInvalidMetricName);
  EXPECT_EQ(CUPTI_ERROR_HARDWARE_BUSY, kHardwareBusy);
  EXPECT_EQ(CUPTI_ERROR_NOT_SUPPORTED, kNotSupported);
  EXPECT_EQ(CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED, kVirtualizedDevice);
  EXPECT_EQ(CUPTI_ERROR_INSUFFICIENT_PRIVILEGES, kInsufficientPrivileges);
  EXPECT_EQ(CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED, kMultipleSubscribers);
  EXPECT_EQ(CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES, kVirtualizedDevicePrivileges);
  EXPECT_EQ(CUPTI_ERROR_CONFIDENTIAL_COMPUTING_NOT_SUPPORTED, kConfidentialComputing);
  EXPECT_EQ(CUPTI_ERROR_CMP_DEVICE_NOT_SUPPORTED, kCmpDevice);
  EXPECT_EQ(CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED, kMigDevice);
  EXPECT_EQ(CUPTI_ERROR_WSL_DEVICE_NOT_SUPPORTED, kWslDevice);
  EXPECT_EQ(CUPTI_ERROR_INVALID_CHIP_NAME, kInvalidChipName);
  EXPECT_EQ(CUPTI_UserRange, static_cast<int>(Range::kUser));
  EXPECT_EQ(CUPTI_UserReplay, static_cast<int>(Replay::kUser));
  EXPECT_EQ(CUPTI_PROFILER_CONFIGURATION_SUPPORTED, static_cast<int>(Support::kSupported));
  EXPECT_EQ(CUPTI_PROFILER_CONFIGURATION_DISABLED, static_cast<int>(Support::kDisabled));
  EXPECT_EQ(CUPTI_PROFILER_PC_SAMPLING, static_cast<int>(ProfilerApi::kPcSampling));
  EXPECT_EQ(CUPTI_METRIC_TYPE_THROUGHPUT, static_cast<int>(MetricType::kThroughput));
  EXPECT_EQ(CUPTI_PROFILER_TYPE_RANGE_PROFILER, static_cast<int>(ProfilerType::kRangeProfiler));
  EXPECT_EQ(CUPTI_PC_SAMPLING_CONFIGURATION_ATTR_TYPE_SAMPLING_DATA_BUFFER,
            static_cast<int>(PcAttribute::kDataBuffer));
  EXPECT_EQ(CUPTI_PC_SAMPLING_CONFIGURATION_ATTR_TYPE_COLLECTION_MODE,
            static_cast<int>(PcAttribute::kCollectionMode));
  EXPECT_EQ(CUPTI_PC_SAMPLING_CONFIGURATION_ATTR_TYPE_ENABLE_START_STOP_CONTROL,
            static_cast<int>(PcAttribute::kStartStopControl));
  EXPECT_EQ(CUPTI_PC_SAMPLING_COLLECTION_MODE_CONTINUOUS, kPcModeContinuous);
}

}  // namespace
}  // namespace qtipd::cupti
